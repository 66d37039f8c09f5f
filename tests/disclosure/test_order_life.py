"""Who may do what with an order, and that nothing is looked up before two people approved it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, text

from disclosure.scene import ANA, BEA, NOBODY, Bench
from passersby.disclosure import life, lookup, release
from passersby.disclosure import parts as order_parts
from passersby.errors import IntegrityError, Refusal, UnknownName, UsageError
from passersby.keys.ring import KeyRing
from passersby.keys.signed import verify
from passersby.lake.lake import Lake
from passersby.policy.order_refusals import ORDERS
from passersby.store.order_tables import CourtOrder, HeldRows
from passersby.trustlog.cosigning import WITNESSES_AWAY, Cosigning

pytestmark = pytest.mark.slow


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count every read of the lake, every use of a pseudonym key, every pseudonym made."""
    counts: Counter[str] = Counter()

    def watch(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def counting(*arguments: Any, **named: Any) -> Any:
            counts[name] += 1
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, counting)

    for owner, name in (
        (Lake, "snapshot"),
        (KeyRing, "epoch_key"),
        (KeyRing, "existing"),
        (lookup, "pseudonyms"),
        (pq, "ParquetFile"),
    ):
        watch(owner, name)
    return counts


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as caught:
        action()
    return caught.value.code


def test_nothing_is_looked_up_before_both_approvals(full: Bench, touched: Counter[str]) -> None:
    document = full.document(full.order(devices=(ANA, NOBODY)))
    number = full.submit(document)
    life.show(full.d.orders, number)
    life.document(full.d.orders, number, actor=full.actor("lea"), now=full.now)
    assert refused(lambda: full.disclose(number)) == "NotApproved"
    full.approve(number, "lea")
    assert refused(lambda: full.disclose(number)) == "NotApproved"
    full.code(document)
    full.approve(number, "paul")
    life.list_all(full.d.orders)
    assert touched == Counter()
    full.disclose(number)
    assert {name: touched[name] for name in ("snapshot", "pseudonyms")} == {"snapshot": 1, "pseudonyms": 1}


def test_an_insider_cannot_mark_an_order_approved(full: Bench, touched: Counter[str]) -> None:
    number = full.submit()
    full.approve(number, "lea")
    with full.d.database.write() as session:
        session.execute(text("UPDATE court_order SET state = 'approved'"))
    assert refused(lambda: full.disclose(number)) == "NotApproved"
    with full.d.database.write() as session:
        session.execute(
            text(
                "INSERT INTO order_approval "
                "SELECT \"order\", 'privacy', 'paul', signature, created, log_index FROM order_approval"
            )
        )
    with pytest.raises(IntegrityError):
        full.disclose(number)
    assert touched == Counter()


def test_another_document_under_the_same_approvals(full: Bench, touched: Counter[str]) -> None:
    mine, wide = full.approved(), full.submit(full.document(full.order(reference="2", devices=(ANA, BEA))))
    with full.d.database.write() as session:
        other = session.get_one(CourtOrder, wide)
        row = session.get_one(CourtOrder, mine)
        other_sha, other.sha256 = other.sha256, "0" * 64
        session.flush()
        row.document, row.lists, row.sha256 = other.document, other.lists, other_sha
    with pytest.raises(IntegrityError):
        full.disclose(mine)
    assert touched == Counter()


def test_each_approval_signs_the_hash_of_the_document(bench: Bench) -> None:
    document = bench.document()
    number = bench.approved(document)
    standing, _ = life.show(bench.d.orders, number)
    assert standing.state == "approved"
    assert [each.role for each in standing.approvals] == ["legal", "privacy"]
    digest = hashlib.sha256(document).digest()
    for each in standing.approvals:
        verify(each.public_key, digest, f"order approved as {each.role}", each.signature)
    assert [entry["by"] for entry in bench.entries("order.approved")] == ["lea", "paul"]


def test_one_person_acts_once(bench: Bench) -> None:
    number = bench.submit()
    bench.approve(number, "lea")
    assert refused(lambda: bench.approve(number, "lea")) == "SamePersonTwice"
    with pytest.raises(UsageError, match="legal"):
        bench.approve(number, "lars")
    entry = bench.entries("order.refused")[-1]
    assert (entry["code"], entry["stage"], entry["order"]) == ("SamePersonTwice", "approval", number)


@pytest.mark.parametrize(("who", "code"), [("both", "TwoRolesInOneHand"), ("triple", "TwoRolesInOneHand")])
def test_two_roles_in_one_hand(bench: Bench, who: str, code: str) -> None:
    number = bench.submit()
    assert refused(lambda: bench.approve(number, who)) == code
    assert bench.entries("order.refused")[-1]["code"] == code
    if who == "triple":
        bench.approve(number, "lea")
        bench.approve(number, "paul")
        assert refused(lambda: bench.disclose(number, who)) == code


@pytest.mark.parametrize("who", ["custodian", "rolf", "olga"])
def test_others_approve_nothing(bench: Bench, who: str) -> None:
    number = bench.submit()
    assert refused(lambda: bench.approve(number, who)) == "role-missing"


@pytest.mark.parametrize("who", ["lea", "lars", "custodian", "olga"])
def test_only_a_releaser_carries_it_out(bench: Bench, who: str) -> None:
    number = bench.approved()
    assert refused(lambda: bench.disclose(number, who)) == "role-missing"
    assert bench.entries("order.refused")[-1]["stage"] == "release"


def test_a_releaser_who_approved_is_no_third_person(bench: Bench) -> None:
    """Roles can change between the two acts."""
    number = bench.approved()
    with bench.d.database.write() as session:
        session.execute(text("UPDATE person SET roles = '[\"releaser\"]' WHERE id = 'lea'"))
    assert refused(lambda: bench.disclose(number, "lea")) == "SamePersonTwice"


def test_the_same_order_works_once(bench: Bench) -> None:
    document = bench.document()
    bench.submit(document)
    assert bench.code(document) == "AlreadyUsed"
    again = bench.document(bench.order(reference=" tx/2026/42".upper().strip(), devices=(BEA,)))
    assert bench.code(again) == "AlreadyUsed"
    assert bench.code(bench.document(form="pdf")) == "AlreadyUsed"
    bench.submit(bench.document(bench.order(reference="TX/2026/43")))


def test_a_refused_order_stays_refused(bench: Bench) -> None:
    document = bench.document()
    number = bench.approved(document)
    held = {"code": "ConflictOfLaw", "reason": "blocking statute"}
    done = life.refuse(bench.d.orders, number, **held, actor=bench.actor("paul"), now=bench.now)
    assert done.state == "refused"
    entry = bench.entries("order.refused")[-1]
    assert (entry["code"], entry["stage"]) == ("ConflictOfLaw", "person")
    assert "blocking statute" not in json.dumps(bench.entries())
    assert bench.private(entry["index"])["why"] == "blocking statute"
    assert refused(lambda: bench.disclose(number)) == "AlreadyUsed"
    assert bench.code(document) == "AlreadyUsed"
    with pytest.raises(UsageError, match="ended"):
        life.refuse(bench.d.orders, number, **held, actor=bench.actor("paul"), now=bench.now)


@pytest.mark.parametrize("given", [{"code": "x", "reason": "y"}, {"code": "Expired", "reason": " "}])
def test_a_refusal_says_why(bench: Bench, given: dict[str, str]) -> None:
    number = bench.submit()
    with pytest.raises(UsageError):
        life.refuse(bench.d.orders, number, **given, actor=bench.actor("paul"), now=bench.now)


def test_an_order_expires_while_it_waits(bench: Bench) -> None:
    number, end = bench.submit(), bench.order().valid.end
    bench.approve(number, "lea", at=end - 1)
    assert refused(lambda: bench.approve(number, "paul", at=end)) == "Expired"
    bench.approve(number, "paul", at=end - 1)
    assert refused(lambda: bench.disclose(number, at=end)) == "Expired"


def test_an_expired_order_lapses(bench: Bench) -> None:
    number, end = bench.submit(), bench.order().valid.end
    bench.d.expire(now=end - 1)
    assert life.list_all(bench.d.orders)[0].state == "verified"
    bench.d.expire(now=end)
    assert life.list_all(bench.d.orders)[0].state == "lapsed"
    assert bench.entries("order.lapsed")[-1]["order"] == number
    with bench.d.database.read() as session:
        assert session.scalar(select(func.count()).select_from(HeldRows)) == 0


def test_an_analyst_hands_in_nothing(bench: Bench) -> None:
    with bench.d.database.write() as session:
        session.execute(text("UPDATE person SET roles = '[\"analyst\"]' WHERE id = 'lars'"))
    assert bench.code(person="lars") == "role-missing"


def test_who_reads_an_order_is_on_record(bench: Bench) -> None:
    document = bench.document()
    number = bench.submit(document)
    found, fields = life.document(bench.d.orders, number, actor=bench.actor("olga"), now=bench.now)
    assert found == document
    assert ("Device (advertising id)", ANA) in fields
    assert bench.entries("order.read")[-1]["by"] == "olga"
    assert (
        refused(lambda: life.document(bench.d.orders, number, actor=bench.actor("custodian"), now=bench.now))
        == "role-missing"
    )


def test_the_log_and_the_database_name_no_device(bench: Bench) -> None:
    number = bench.approved(bench.document(bench.order(devices=(ANA, BEA))))
    bench.disclose(number)
    public = json.dumps(bench.entries())
    assert "TX/2026/42" not in public
    for path in bench.d.layout.root.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert ANA.encode() not in data
        assert ANA.replace("-", "").encode() not in data


def test_there_is_no_order_of_that_number(bench: Bench) -> None:
    for action in (
        lambda: bench.approve(7, "lea"),
        lambda: bench.disclose(7),
        lambda: life.show(bench.d.orders, 7),
    ):
        with pytest.raises(UnknownName):
            action()


def test_a_real_deployment_discloses_nothing_without_witnesses(
    full: Bench, monkeypatch: pytest.MonkeyPatch, touched: Counter[str]
) -> None:
    """The mark in the log's first entry counts: a setting in the database that says so is not enough."""
    number = full.approved()
    assert full.d.is_demo
    monkeypatch.setattr(order_parts, "made_as_demo", lambda _session: False)
    assert refused(lambda: full.disclose(number)) == "no-witness"
    assert touched == Counter()
    assert life.show(full.d.orders, number)[0].state == "approved"


def test_witnesses_that_are_lost_after_the_claim_stop_it_too(
    full: Bench, monkeypatch: pytest.MonkeyPatch, touched: Counter[str]
) -> None:
    """The entry of the release itself must be witnessed before anything is read."""
    number = full.approved()

    def lost(_log: Cosigning, index: int, *, now: int) -> None:
        del now
        if index >= 0:
            raise Refusal("witnesses-away", *WITNESSES_AWAY)

    with monkeypatch.context() as patch:
        patch.setattr(Cosigning, "require_quorum", lost)
        assert refused(lambda: full.disclose(number)) == "witnesses-away"
    assert touched == Counter()
    assert life.show(full.d.orders, number)[0].state == "releasing"
    assert full.disclose(number)  # they are back: the same release goes on


def test_every_code_of_the_table_is_one_that_these_tests_meet() -> None:
    met = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [code for code in ORDERS if f'"{code}"' not in met] == []


def test_a_lower_limit_holds_for_orders_that_wait(bench: Bench) -> None:
    number = bench.approved(bench.document(bench.order(devices=(ANA, BEA))))
    parts = replace(bench.d.orders, config=replace(bench.d.config, order_devices=1))
    code = refused(lambda: release.disclose(parts, number, actor=bench.actor("rolf"), now=bench.now))
    assert code == "ScopeTooBroad"
