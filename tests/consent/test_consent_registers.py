"""Registers in a deployment: hashed at once, versioned, and right about who consented when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from passersby.consent import withdrawals
from passersby.consent.registers import NEVER, ConsentRegisters, Register, Terms, _latest_events
from passersby.errors import BadRecord
from passersby.keys.pseudonym import pseudonyms
from passersby.store.database import Database
from passersby.store.tables import LogEntry

pytestmark = pytest.mark.slow

NOW = 1_780_000_000
T = 1_700_000_000


def load(
    registers: ConsentRegisters, tmp_path: Path, *rows: str, now: int = NOW, supplier: str = "acme"
) -> int:
    path = tmp_path / "consent.csv"
    path.write_text("id,given_at,state,withdrawn_at,expires_at\n" + "".join(f"{row}\n" for row in rows))
    return registers.load(
        path, supplier=supplier, normalise=lambda ids: ids.str.to_lowercase(), now=now
    ).version


def since(registers: ConsentRegisters, *ids: str, now: int = NOW, number: int = 1) -> list[int]:
    register = registers.current(number, now=now)
    assert register is not None
    return [int(t) for t in register.given(pseudonyms(list(ids), registers.key()))]


def test_who_consented_since_when(registers: ConsentRegisters, tmp_path: Path) -> None:
    load(
        registers, tmp_path, f"A,{T},given,,", f"b,{T},refused,,", f"c,{T},given,{T + 9},", f"d,{T},expired,,"
    )
    assert since(registers, "a", "b", "c", "d", "e") == [T, NEVER, NEVER, NEVER, NEVER]


def test_who_refused_or_withdrew_objects(registers: ConsentRegisters, tmp_path: Path) -> None:
    load(
        registers,
        tmp_path,
        f"a,{T},given,,{NOW}",
        f"b,{T},refused,,",
        f"c,{T},given,{T + 9},",
        f"c,{T + 10},given,,",
        f"d,{T},given,{T + 9},",
    )
    register = registers.current(1, now=NOW)
    assert register is not None
    asked = pseudonyms(["a", "b", "c", "d", "e"], registers.key())
    assert register.objects(asked).tolist() == [False, True, False, True, False]


def test_a_consent_ends_when_it_expires(registers: ConsentRegisters, tmp_path: Path) -> None:
    load(registers, tmp_path, f"a,{T},given,,{NOW}")
    assert since(registers, "a", now=NOW - 1) == [T]
    assert since(registers, "a", now=NOW) == [NEVER]


def test_a_new_register_replaces_the_one_before(registers: ConsentRegisters, tmp_path: Path) -> None:
    assert load(registers, tmp_path, f"a,{T},given,,", f"b,{T},given,,") == 1
    assert load(registers, tmp_path, f"b,{T + 5},given,,") == 2
    assert since(registers, "a", "b") == [NEVER, T + 5]


def test_the_same_file_again_is_no_new_version(registers: ConsentRegisters, tmp_path: Path) -> None:
    assert load(registers, tmp_path, f"a,{T},given,,") == 1
    assert load(registers, tmp_path, f"a,{T},given,,") == 1


def test_registers_of_suppliers_are_apart(registers: ConsentRegisters, tmp_path: Path) -> None:
    load(registers, tmp_path, f"a,{T},given,,")
    assert registers.current(2, now=NOW) is None
    load(registers, tmp_path, f"b,{T},given,,", supplier="other")
    assert since(registers, "a", "b", number=2) == [NEVER, T]


def test_a_bad_file_leaves_the_register_in_force(registers: ConsentRegisters, tmp_path: Path) -> None:
    load(registers, tmp_path, f"a,{T},given,,")
    with pytest.raises(BadRecord):
        load(registers, tmp_path, f"a,{T},given,,", f"b,{T},maybe,,")
    assert since(registers, "a") == [T]


def test_an_empty_register_is_refused(registers: ConsentRegisters, tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="no record"):
        load(registers, tmp_path)


def test_no_id_reaches_the_disk(registers: ConsentRegisters, tmp_path: Path) -> None:
    load(registers, tmp_path, f"very-unusual-identifier,{T},given,,")
    (tmp_path / "consent.csv").unlink()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(b"very-unusual" in path.read_bytes() for path in files)
    for path in files:
        if path.suffix == ".parquet":
            assert path.stat().st_mode & 0o077 == 0
            assert pl.read_parquet(path).schema["id_hash"] == pl.Int64
            assert "id" not in pl.read_parquet(path).columns


def test_the_log_names_supplier_and_version(
    registers: ConsentRegisters, tmp_path: Path, database: Database
) -> None:
    load(registers, tmp_path, f"a,{T},given,,")
    with database.read() as session:
        (body,) = session.scalars(select(LogEntry.body)).all()
    entry = json.loads(body)
    assert len(entry.pop("_sd")) == 2
    assert entry == {"kind": "consent.loaded", "time": NOW, "supplier": "acme", "version": 1}


RECORDS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(T, T + 5), st.booleans(), st.none() | st.integers(T, T + 5)),
    min_size=1,
    max_size=12,
)


@given(records=RECORDS)
@settings(max_examples=200)
def test_of_several_records_the_latest_event_counts_and_a_tie_forbids(
    records: list[tuple[int, int, bool, int | None]],
) -> None:
    frame = pl.DataFrame(
        records,
        schema={"id_hash": pl.Int64, "given_at": pl.Int64, "permits": pl.Boolean, "withdrawn_at": pl.Int64},
        orient="row",
    )
    kept = {row["id_hash"]: row for row in _latest_events(frame).to_dicts()}
    assert set(kept) == {record[0] for record in records}
    for who, row in kept.items():
        events = [
            (max(given_at, withdrawn or 0), not permits or withdrawn is not None)
            for key, given_at, permits, withdrawn in records
            if key == who
        ]
        assert (not row["permits"] or row["withdrawn_at"] is not None) == max(events)[1]


@given(known=st.sets(st.integers(-(2**63), 2**63 - 1)), asked=st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_look_up_finds_exactly_what_is_there(known: set[int], asked: list[int]) -> None:
    hashes = np.array(sorted(known), dtype=np.int64)
    register = Register(hashes, np.arange(len(hashes), dtype=np.int64), hashes)
    every = [*asked, *known]
    expected = {value: index for index, value in enumerate(sorted(known))}
    wanted = np.array(every, dtype=np.int64)
    assert register.given(wanted).tolist() == [expected.get(v, NEVER) for v in every]
    assert register.objects(wanted).tolist() == [v in known for v in every]


def registered(registers: ConsentRegisters, tmp_path: Path, *rows: Mapping[str, object]) -> list[list[str]]:
    """Load records as NDJSON; return who withdrew by it."""
    told: list[list[str]] = []
    path = tmp_path / "consent.ndjson"
    whole = [{"given_at": T, "state": "given", **row} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in whole))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(withdrawals, "record", lambda _s, _r, ids, **_: told.append(list(ids)))
        registers.load(path, supplier="acme", normalise=lambda ids: ids, now=NOW)
    return told


def test_who_withdraws_is_told_once_in_the_transaction_of_the_import(
    registers: ConsentRegisters, tmp_path: Path
) -> None:
    blank = {"withdrawn_at": None, "gpc": None}
    first = [{"id": name, **blank} for name in "abcd"]
    assert registered(registers, tmp_path, *first) == []
    second: list[Mapping[str, object]] = [
        {"id": "a", **blank, "state": "withdrawn", "given_at": T + 1},
        {"id": "b", **blank, "withdrawn_at": T + 1},
        {"id": "c", **blank, "gpc": True},
        {"id": "d", **blank, "state": "refused"},
        {"id": "e", **blank, "state": "withdrawn"},
        {"id": "e", **blank, "given_at": T + 9},
    ]
    assert registered(registers, tmp_path, *second) == [["a", "b", "c", "d"]]
    third = [*second, {"id": "f", **blank, "gpc": True}]
    assert registered(registers, tmp_path, *third) == [["f"]]


def test_who_withdraws_after_a_consent_that_expired_is_told(
    registers: ConsentRegisters, tmp_path: Path
) -> None:
    """What was taken while the consent stood is still there."""
    assert registered(registers, tmp_path, {"id": "a", "state": "expired"}) == []
    later = {"id": "a", "state": "withdrawn", "given_at": T + 1}
    assert registered(registers, tmp_path, later) == [["a"]]


def test_a_withdrawal_that_is_not_recorded_leaves_the_register_before_in_force(
    registers: ConsentRegisters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(registers, tmp_path, f"a,{T},given,,")
    path = tmp_path / "later.csv"
    path.write_text(f"id,given_at,state\na,{T},withdrawn\n")

    def failing(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(withdrawals, "record", failing)
    with pytest.raises(KeyboardInterrupt):
        registers.load(path, supplier="acme", normalise=lambda ids: ids, now=NOW)
    assert since(registers, "a") == [T]


@pytest.mark.parametrize(
    ("said", "terms", "good"),
    [
        ({"notice_version": "v1"}, Terms("v1"), True),
        ({"notice_version": "v2"}, Terms("v1"), False),
        ({"notice_version": None}, Terms("v1"), True),
        ({"notice_hash": "aa"}, Terms("v1", "bb"), False),
        ({"purpose": "dpv:ScientificResearch"}, Terms(purposes=("dpv:ScientificResearch",)), True),
        ({"purpose": "ScientificResearch Marketing"}, Terms(purposes=("dpv:ScientificResearch",)), True),
        ({"purpose": "dpv:ResearchAndDevelopment"}, Terms(purposes=("dpv:ScientificResearch",)), True),
        ({"purpose": "dpv:Marketing"}, Terms(purposes=("dpv:ScientificResearch",)), False),
        (
            {"purpose": "dpv:ScientificResearch"},
            Terms(purposes=("dpv:ScientificResearch", "dpv:ImproveTransportMobility")),
            False,
        ),
        ({"lawful_basis": "dpv:LegitimateInterest"}, Terms(), False),
    ],
)
def test_a_consent_counts_for_the_notice_and_purposes_it_was_given_to(
    registers: ConsentRegisters, tmp_path: Path, said: dict[str, object], terms: Terms, good: bool
) -> None:
    registered(registers, tmp_path, {"id": "a", **said})
    register = registers.current(1, now=NOW, terms=terms)
    assert register is not None
    asked = pseudonyms(["a"], registers.key())
    assert bool(register.given(asked)[0] == T) is good
    assert not register.objects(asked).any()


def test_what_the_notice_was_is_kept(registers: ConsentRegisters, tmp_path: Path) -> None:
    said = {"notice_version": "v2", "notice_hash": "ab", "language": "de"}
    registered(registers, tmp_path, {"id": "a", **said})
    (stored,) = [pl.read_parquet(path) for path in (tmp_path / "consent").glob("*.parquet")]
    assert {name: stored[name][0] for name in said} == said
