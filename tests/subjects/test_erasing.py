"""What is erased is gone from the disk, is proven to be gone, and a killed erasure goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from passersby.consent import withdrawals
from passersby.custody import health
from passersby.deployment import holders
from passersby.derive.derivation import derive_days, stale_days
from passersby.errors import IntegrityError, Refusal, UnknownName, UnreadableFile
from passersby.ingest.pipeline import Ingest
from passersby.lake.layout import ENCODINGS
from passersby.lake.manifest import FileRef
from passersby.lake.purge import Rewritten
from passersby.model.period import DAY
from passersby.model.schema import PRESENCE, TABLES
from passersby.store.subject_tables import Erasure, SubjectRequest
from passersby.subjects import checking, erasing, receipts
from subjects.conftest import ANA, BEA, Scene, written

pytestmark = pytest.mark.slow

NOTHING = dict.fromkeys(TABLES, 0)


def erase(scene: Scene, *names: str) -> Any:
    return holders.erase(scene.d, names or [ANA], actor=scene.actor(), now=scene.now)


def states(scene: Scene) -> list[str]:
    with scene.d.database.read() as session:
        return list(session.scalars(select(Erasure.state).order_by(Erasure.id)))


def test_every_table_loses_the_rows_and_nobody_elses(scene: Scene) -> None:
    others = {table: scene.rows(BEA)[table] for table in TABLES}
    whole = _totals(scene)
    mine = scene.rows(ANA)
    assert min(mine.values()) > 0
    done = erase(scene)
    assert done.receipt
    assert scene.rows(ANA) == NOTHING
    assert scene.rows(BEA) == others
    assert _totals(scene) == {table: whole[table] - mine[table] for table in TABLES}


def _totals(scene: Scene) -> dict[str, int]:
    with scene.d.lake.snapshot(scene.now) as snapshot:
        return {table: sum(file.rows for file in snapshot.files(table)) for table in TABLES}


def test_replaced_files_are_gone_from_the_disk(scene: Scene) -> None:
    erase(scene)
    with scene.d.lake.snapshot(scene.now) as snapshot:
        listed = {file.path for table in TABLES for file in snapshot.files(table)}
    assert set(scene.d.layout.lake.rglob("*.parquet")) == listed
    gone = np.array([scene.device(ANA)])
    for path in listed:
        assert not np.isin(pq.read_table(path, columns=["device"])["device"].to_numpy(), gone).any()


def test_the_days_stay_derived_from_what_is_left(scene: Scene) -> None:
    erase(scene)
    assert stale_days(scene.d.lake, now=scene.now) == []
    with scene.d.lake.snapshot(scene.now) as snapshot:
        days = {file.day for file in snapshot.files("pings")}
    before = _totals(scene)
    derive_days(scene.d.lake, days, now=scene.now, force=True)
    assert _totals(scene) == before


def test_of_sealed_days_derived_rows_go_too(scene: Scene) -> None:
    scene.now += 31 * DAY
    scene.d.expire(now=scene.now)
    assert scene.rows(ANA)["presence"] == 100
    erase(scene)
    assert scene.rows(ANA) == NOTHING
    assert scene.rows(BEA)["presence"] == 100


def test_who_is_not_held_gets_the_same_receipt(scene: Scene) -> None:
    done = erase(scene, "00001111-2222-4a06-9d13-7e21c04ab002")
    assert receipts.check(done.receipt, scene.d.vkey).kind == "subject.erased"


def test_many_at_once_is_one_commit(scene: Scene) -> None:
    erase(scene, ANA, BEA)
    assert scene.rows(ANA) == scene.rows(BEA) == NOTHING
    assert len(scene.entries("subject.rewritten")) == len(scene.entries("subject.erased")) == 1


def test_a_receipt_is_checked_with_the_public_key_alone(scene: Scene) -> None:
    done = erase(scene)
    assert ANA not in done.receipt.decode()
    found = receipts.check(done.receipt, scene.d.vkey, ids=[ANA])
    assert (found.kind, found.about_ids) == ("subject.erased", True)
    assert receipts.check(done.receipt, scene.d.vkey, ids=[BEA]).about_ids is False
    assert json.loads(done.receipt)["outside"] == list(receipts.OUTSIDE)
    assert receipts.of_erasure(scene.parts, 1, [ANA])
    with pytest.raises(UnknownName, match="other devices"):
        receipts.of_erasure(scene.parts, 1, [BEA])
    with pytest.raises(UnknownName):
        receipts.of_erasure(scene.parts, 2, [ANA])


def test_a_changed_receipt_fails(scene: Scene) -> None:
    text = erase(scene).receipt.decode()
    good = json.loads(text)
    other = holders.withdraw(scene.d, [BEA], actor=scene.actor(), now=scene.now).receipt
    changed = [
        {**good, "says": receipts.SAYS["subject.withdrawn"]},
        {**good, "log": json.loads(other)["log"]},
        {**good, "log": {**good["log"], "disclosures": []}},
        {**good, "log": {**good["log"], "entry": good["log"]["entry"].replace("erased", "erasee")}},
    ]
    for each in changed:
        with pytest.raises(IntegrityError):
            receipts.check(json.dumps(each).encode(), scene.d.vkey)
    for junk in (b"", b"[]", b"{}", b"null", b"\xff", json.dumps({**good, "salt": "x"}).encode()):
        with pytest.raises(UnreadableFile):
            receipts.check(junk, scene.d.vkey)


def test_a_withdrawal_has_a_receipt_too(scene: Scene) -> None:
    done = holders.withdraw(scene.d, [ANA], actor=scene.actor(), now=scene.now)
    found = receipts.check(done.receipt, scene.d.vkey, ids=[ANA])
    assert (found.kind, found.about_ids) == ("subject.withdrawn", True)


def test_the_receipt_waits_for_a_reader_of_the_old_files(scene: Scene) -> None:
    with scene.d.lake.snapshot(scene.now) as snapshot:
        done = erase(scene)
        assert "question that still reads" in done.waits_for
        assert done.receipt == b""
        assert all(file.path.exists() for file in snapshot.files("pings"))
        with pytest.raises(UnknownName, match="waits for a question"):
            receipts.of_erasure(scene.parts, 1, [ANA])
        assert states(scene) == ["rewritten"]
    assert scene.rows(ANA) == NOTHING
    scene.d.sweep(scene.now)
    assert states(scene) == ["done"]
    assert receipts.of_erasure(scene.parts, 1, [ANA])
    with scene.d.database.read() as session:
        assert all(row.done for row in session.scalars(select(SubjectRequest)))


def test_an_open_erasure_stands_in_the_status(scene: Scene) -> None:
    with scene.d.lake.snapshot(scene.now):
        erase(scene)
        (due,) = open_requests(scene)
        assert scene.now + 29 * DAY < due <= scene.now + 30 * DAY
    scene.d.sweep(scene.now)
    assert open_requests(scene) == []


def open_requests(scene: Scene) -> list[int]:
    found = health.status(scene.d.database, scene.d.config, now=scene.now)
    return [duty.due for duty in found.duties if duty.what == "holder's request 1: erase"]


@pytest.mark.parametrize("moment", ["_commit", "_derive"])
def test_a_delivery_that_was_on_its_way_loses_the_rows_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    real, told = getattr(Ingest, moment), list[Any]()

    def first(self: Any, *arguments: Any) -> None:
        if not told:
            told.append(erase(scene))
        real(self, *arguments)

    monkeypatch.setattr(Ingest, moment, first)
    scene.take(scene.file((ANA, BEA), first=101, hours=2))
    assert bool(told[0].receipt) is (moment == "_derive")  # it waited for the delivery that had begun before
    scene.now += 1
    scene.d.sweep(scene.now)
    assert scene.rows(ANA) == NOTHING
    assert scene.rows(BEA)["pings"] == 306
    assert set(states(scene)) == {"done"}
    assert receipts.of_erasure(scene.parts, 1, [ANA])


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", ["_rewrite", "_without", "_prove", "holds", "compact", "clear", "settle", "append"]
)
def test_stopped_at_any_step_the_next_command_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    owner = {
        "holds": "passersby.subjects.gone.holds",
        "compact": "passersby.store.database.Database.compact",
        "clear": "passersby.engines.spill.clear",
        "settle": "passersby.subjects.parts.Parts.settle",
    }.get(step, f"passersby.subjects.erasing.{step}")

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, stopped)
        with pytest.raises(KeyboardInterrupt):
            erase(scene)
    assert states(scene) != ["done"]
    assert scene.seen(ANA) == 0
    scene.now += 1
    again = scene.reopened()
    assert states(again) == ["done"]
    assert again.rows(ANA) == NOTHING
    assert receipts.check(receipts.of_erasure(again.parts, 1, [ANA]), again.d.vkey, ids=[ANA]).about_ids
    again.d.close()


CHILD = """
import sys, time
from pathlib import Path
from passersby.custody import health
from passersby.deployment import holders
from passersby.deployment.opened import Deployment
from passersby.lake.write import Work
from passersby.store.database import Database
from passersby.subjects import erasing
root, where = Path(sys.argv[1]), sys.argv[2]
def stop(owner, name, after):
    real = getattr(owner, name)
    def held(*a, **k):
        out = real(*a, **k) if after else None
        print("here", flush=True); time.sleep(600)
    setattr(owner, name, held)
{"files": lambda: stop(erasing, "_without", True), "moved": lambda: stop(Work, "_move", True),
 "committed": lambda: stop(erasing, "waits_for", False),
 "unproven": lambda: stop(Database, "compact", True)}[where]()
now = int(sys.argv[3])
with Deployment.open(root, now=now) as d:
    holders.erase(d, [sys.argv[4]], actor=d.actor(root / "people" / "custodian.key"), now=now)
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["files", "moved", "committed", "unproven"])
def test_killed_at_any_moment_the_next_command_goes_on(scene: Scene, where: str) -> None:
    root = scene.d.layout.root
    scene.d.close()
    arguments = [sys.executable, "-c", CHILD, str(root), where, str(scene.now), ANA]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=os.environ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        child.send_signal(signal.SIGKILL)
    scene.now += 2 * 3600  # leases have lapsed
    again = scene.reopened()
    if states(again) != ["done"]:  # the first opening repaired, the second one has nothing to wait for
        again = again.reopened()
    assert states(again) == ["done"]
    assert again.rows(ANA) == NOTHING
    assert again.rows(BEA)["pings"] == 300
    assert receipts.of_erasure(again.parts, 1, [ANA])
    with again.d.lake.snapshot(again.now) as snapshot:
        listed = {file.path for table in TABLES for file in snapshot.files(table)}
    assert set(again.d.layout.lake.rglob("*.parquet")) == listed
    again.d.close()


def test_nothing_is_certified_while_a_file_holds_rows(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rewrite that forgets a file is found by the check, which looks at all of them."""
    monkeypatch.setattr(erasing, "_one", lambda *_: Rewritten())
    with pytest.raises(IntegrityError, match="still holds"):
        erase(scene)
    assert states(scene) == ["rewritten"]
    assert scene.entries("subject.erased") == []


def test_an_analyst_erases_nobody(scene: Scene) -> None:
    with pytest.raises(Refusal):
        holders.erase(scene.d, [ANA], actor=scene.actor("anna"), now=scene.now)
    assert scene.entries("act.refused")[-1]["code"] == "role-missing"
    with pytest.raises(Refusal):
        holders.receipt(scene.d, 1, [ANA], actor=scene.actor("anna"), now=scene.now)


def test_an_erasure_after_a_withdrawal_finds_the_rows(scene: Scene) -> None:
    holders.withdraw(scene.d, [ANA], actor=scene.actor(), now=scene.now)
    erase(scene)
    assert scene.rows(ANA) == NOTHING


def file_of(path: Path, devices: list[int], **changed: Any) -> FileRef:
    hours = 1_780_000_000 // 3600 * 3600 + np.arange(len(devices), dtype=np.int32) * 3600
    table = pa.table(
        [
            pa.array(devices, pa.int64()),
            pa.array(hours, pa.int32()),
            pa.array([1] * len(devices), pa.int64()),
            pa.array([1] * len(devices), pa.int32()),
        ],
        schema=PRESENCE,
    )
    pq.write_table(table, path, **{**ENCODINGS["presence"].options(PRESENCE.names), **changed})
    return FileRef(1, path, "presence", 0, 0, len(devices), (1,), 0)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"compression": "none", "compression_level": None},
        {"use_dictionary": False},
        {
            "use_dictionary": False,
            "column_encoding": {"device": "DELTA_BINARY_PACKED", "hour": "DELTA_BINARY_PACKED"},
        },
        {"row_group_size": 7},
        {"data_page_version": "2.0"},
        {"dictionary_pagesize_limit": 64},
    ],
)
def test_the_check_decodes_whatever_the_encoding(tmp_path: Path, changed: dict[str, Any]) -> None:
    file = file_of(tmp_path / "f.parquet", list(range(-50, 50)), **changed)
    for held in (-50, 0, 49):
        assert checking.holds(file, np.array([held]))
    assert not checking.holds(file, np.array([-51, 50]))


def test_a_dictionary_that_names_what_no_row_uses_is_found(tmp_path: Path) -> None:
    """The indices of the only page are changed in the bytes of the file: nothing points to 9 any more."""
    file = file_of(tmp_path / "f.parquet", [5, 6, 9, 9], compression="none", compression_level=None)
    data = file.path.read_bytes()
    indices = b"\x02\x03\xa4\x00"  # bit width 2, one packed group of eight: 0, 1, 2, 2
    assert data.count(indices) == 1
    file.path.write_bytes(data.replace(indices, b"\x02\x03\x04\x00"))  # 0, 1, 0, 0
    assert pq.read_table(file.path)["device"].to_pylist() == [5, 6, 5, 5]
    assert [values.tolist() for values in checking.dictionaries(file)] == [[5, 6, 9]]
    assert checking.holds(file, np.array([9]))


def test_statistics_of_devices_in_a_footer_are_found(tmp_path: Path) -> None:
    file = file_of(tmp_path / "f.parquet", [5, 9], write_statistics=True)
    with pytest.raises(IntegrityError, match="footer"):
        checking.holds(file, np.array([1]))


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    file = file_of(tmp_path / "f.parquet", list(range(1000)))
    data = file.path.read_bytes()
    file.path.write_bytes(data[:4] + b"\xff" * 60 + data[64:])
    with pytest.raises(IntegrityError, match="cannot be read"):
        checking.holds(file, np.array([1]))


def test_marked_is_what_a_plain_search_finds() -> None:
    dice = np.random.default_rng(3)
    for _ in range(50):
        device = np.sort(dice.integers(-20, 20, dice.integers(0, 60)))
        gone = np.unique(dice.integers(-22, 22, dice.integers(0, 9)))
        assert (checking.marked(device, gone) == np.isin(device, gone)).all()


@pytest.mark.slow
def test_an_erasure_among_twenty_thousand_takes_the_right_ones(scene: Scene) -> None:
    names = [f"{n:08x}-5b8e-4a06-9d13-7e21c04ab95f" for n in range(400)]
    scene.take(written(scene.folder / "many.csv", tuple(names), hours=20))
    begun = time.monotonic()
    erase(scene, *names[::7])
    assert time.monotonic() - begun < 60
    with scene.d.database.read() as session:
        gone = withdrawals.hidden(session, scene.d.ring)
    left = _totals(scene)["pings"]
    assert len(gone) == len(names[::7])
    assert left > 0
    assert {name for name in names[:30] if scene.rows(name)["pings"] == 0} == set(names[:30:7])
