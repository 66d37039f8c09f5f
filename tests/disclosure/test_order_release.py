"""What leaves under an order: exactly its devices, window and area, sealed, once."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyrage
import pytest
from sqlalchemy import select, text

from disclosure.opened import unsealed, untarred
from disclosure.scene import ANA, BEA, BERN, IDENTITY, MONDAY, NOBODY, Bench
from passersby.custody import health
from passersby.deployment import acts, places
from passersby.disclosure import holds, life, package, release
from passersby.disclosure.order import utc_text
from passersby.errors import OperationError, PassersbyError, Refusal, UnknownName
from passersby.keys.signed import verify
from passersby.model.period import DAY, Span
from passersby.store.notice_tables import Notice
from passersby.trustlog.receipts import check_reveal, verify_proof

pytestmark = pytest.mark.slow

AROUND_BERN = {
    "type": "Polygon",
    "coordinates": [[[7.44, 46.94], [7.46, 46.94], [7.46, 46.96], [7.44, 46.96], [7.44, 46.94]]],
}


def carried_out(full: Bench, **changed: Any) -> Any:
    return unsealed(full.disclose(full.approved(full.document(full.order(**changed)))))


def test_exactly_the_named_devices_in_the_window(full: Bench) -> None:
    found = carried_out(full)
    assert {row["device"] for row in found.pings} == {ANA}
    assert [row["time"] for row in found.pings] == [utc_text(MONDAY + h * 3600 + 60) for h in range(48)]
    first = found.pings[1]
    assert (float(first["latitude"]), float(first["longitude"])) == BERN
    assert (first["accuracy_m"], first["supplier"]) == ("11", "simple")
    assert list(first) == list(package.COLUMNS)  # pings, and nothing made from them


def test_the_window_is_half_open(full: Bench) -> None:
    ping = MONDAY + 5 * 3600 + 60
    found = carried_out(full, window=Span(ping, ping + 3600))
    assert [row["time"] for row in found.pings] == [utc_text(ping)]


def test_an_area_can_only_take_away(full: Bench) -> None:
    found = carried_out(full, area=AROUND_BERN, devices=(ANA, BEA))
    assert {row["latitude"] for row in found.pings} == {"46.94800"}
    assert Counter(row["device"] for row in found.pings) == {ANA: 24, BEA: 24}


def make_sensitive(full: Bench, folder: Path) -> None:
    """Two people put Bern on a list of sensitive places."""
    listed = folder / "places.csv"
    listed.write_text(f"lat,lon,name,category\n{BERN[0]},{BERN[1]},hut,medical\n")
    change = places.load(full.d, listed, name="new", actor=full.actor("custodian"), now=full.now)
    assert change.proposal is not None
    acts.approve(full.d, change.proposal, actor=full.actor("paul"), now=full.now)


def test_a_place_that_became_sensitive_is_left_out(full: Bench, tmp_path: Path) -> None:
    number = full.approved()
    make_sensitive(full, tmp_path)
    with full.d.database.read() as session:  # nobody keeps what is there, not even for an order
        assert holds.kept(session, full.d.ring, number).num_rows == 0
    found = unsealed(full.disclose(number))
    assert {row["latitude"] for row in found.pings} == {"46.75800"}
    assert len(found.pings) == 24
    assert found.manifest["sensitive_lists"]["new"] == 1


def test_what_was_held_before_is_left_out_with_the_fixes_that_reveal_entry(
    full: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = full.approved()
    later = full.now + 40 * DAY
    full.d.expire(now=later)
    with full.d.database.read() as session:
        held = holds.kept(session, full.d.ring, number)
    times = held["t"].to_numpy().copy()
    times[1::2] = times[0::2] + 600  # each hour in Bern begins ten minutes from one in Thun
    closer = held.set_column(held.schema.get_field_index("t"), held.schema.field("t"), pa.array(times))
    monkeypatch.setattr(holds, "kept", lambda *_: pa.concat_tables([closer, held.slice(0, 1)]))
    assert len(unsealed(full.disclose(number, at=later)).pings) == 48
    second = full.approved(full.document(full.order(reference="two")))
    make_sensitive(full, tmp_path)
    assert unsealed(full.disclose(second, at=later)).pings == []


def test_not_held_is_a_result_like_any_other(full: Bench) -> None:
    known, unknown = (full.document(full.order(devices=(d,), reference=d)) for d in (ANA, NOBODY))
    packages = [full.disclose(full.approved(each)) for each in (known, unknown)]
    same_size(*packages)
    held, absent = map(unsealed, packages)
    assert held.files.keys() == absent.files.keys()
    assert held.manifest.keys() == absent.manifest.keys()
    assert absent.pings == []
    (result,) = absent.manifest["results"]
    assert result == {"device": NOBODY, "pings": 0, "weeks": [{"week": "2026-W20", "result": "not held"}]}
    assert held.manifest["results"][0]["weeks"] == [{"week": "2026-W20", "result": "held"}]
    shapes = [[sorted(e) for e in full.entries() if e.get("order") == number] for number in (1, 2)]
    assert shapes[0] == shapes[1]


def same_size(first: bytes, second: bytes) -> None:
    """Of equal size, but for the lines of random length that age itself puts into each header."""
    assert len(pyrage.decrypt(first, [IDENTITY])) == len(pyrage.decrypt(second, [IDENTITY]))
    assert abs(len(first) - len(second)) < 1024


def test_a_destroyed_key_is_one_too(full: Bench) -> None:
    number = full.approved()
    with full.d.database.write() as session:
        session.execute(text(f"UPDATE epoch_key SET wrapped = NULL, destroyed = {full.now - DAY}"))
    sealed = full.disclose(number)
    found = unsealed(sealed)
    week = {"week": "2026-W20", "result": "key destroyed", "on": utc_text(full.now - DAY)}
    assert found.manifest["results"] == [{"device": ANA, "pings": 0, "weeks": [week]}]
    other = full.disclose(full.approved(full.document(full.order(reference="2", devices=(NOBODY,)))))
    same_size(sealed, other)


def test_a_week_that_was_never_delivered_makes_no_key(full: Bench) -> None:
    found = carried_out(full, window=Span(MONDAY - 200 * DAY, MONDAY - 190 * DAY))
    assert {week["result"] for week in found.manifest["results"][0]["weeks"]} == {"not held"}
    with full.d.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM epoch_key")).scalar() == 1


def test_the_manifest_tells_the_chain_of_custody(full: Bench) -> None:
    document = full.document(full.order(devices=(ANA, BEA)))
    found = unsealed(full.disclose(full.approved(document)))
    manifest, digest = found.manifest, hashlib.sha256(document).digest()
    assert manifest["order"]["document_sha256"] == digest.hex()
    pings = manifest["files"]["pings.csv"]
    assert pings["sha256"] == hashlib.sha256(found.files["pings.csv"]).hexdigest()
    assert pings["rows"] == len(found.pings) == sum(each["pings"] for each in manifest["results"])
    steps = {each["step"]: each for each in manifest["custody"]}
    assert list(steps) == ["verified", "approved as legal", "approved as privacy", "released"]
    for role in ("legal", "privacy"):
        step = steps[f"approved as {role}"]
        verify(step["public_key"], digest, f"order approved as {role}", step["signature"])
    kinds = ["order.verified", "order.approved", "order.approved", "order.released"]
    entries = full.entries()
    assert [entries[each["log_index"]]["kind"] for each in manifest["custody"]] == kinds


def test_the_package_proves_that_its_release_was_logged(full: Bench) -> None:
    document = full.document()
    found = unsealed(full.disclose(full.approved(document)))
    entry, log = found.files["log-entry.json"], found.manifest["log"]
    proven = verify_proof(entry, found.files["log-proof.txt"].decode(), full.d.vkey)
    assert proven.index == log["entry"]
    assert json.loads(entry)["kind"] == "order.released"
    for each in log["revealed"]:
        check_reveal(entry, each["name"], each["value"], each["salt"])
    values = {each["name"]: each["value"] for each in log["revealed"]}
    assert values["document_sha256"] == hashlib.sha256(document).hexdigest()


def test_the_age_tool_opens_it_and_another_key_does_not(full: Bench, tmp_path: Path) -> None:
    if shutil.which("age") is None:
        pytest.skip("the program `age` is not installed")
    sealed = full.disclose(full.approved())
    (tmp_path / "key.txt").write_text(f"{IDENTITY}\n")
    (tmp_path / "p.age").write_bytes(sealed)
    done = subprocess.run(
        ["age", "-d", "-i", tmp_path / "key.txt", tmp_path / "p.age"], capture_output=True, check=True
    )
    assert untarred(done.stdout) == unsealed(sealed)
    with pytest.raises(pyrage.DecryptError):
        unsealed(sealed, pyrage.x25519.Identity.generate())
    spoiled = bytearray(sealed)
    spoiled[-3] ^= 1
    with pytest.raises(pyrage.DecryptError):
        unsealed(bytes(spoiled))


def test_pdfsig_says_that_the_order_is_signed(bench: Bench, tmp_path: Path) -> None:
    if shutil.which("pdfsig") is None:
        pytest.skip("the program `pdfsig` (poppler-utils) is not installed")
    path = tmp_path / "order.pdf"
    path.write_bytes(bench.document(form="pdf"))
    said = subprocess.run(["pdfsig", path], capture_output=True, text=True, check=False).stdout
    assert "Signature is Valid" in said
    assert "ETSI.CAdES.detached" in said
    path.write_bytes(path.read_bytes().replace(b"Case reference", b"Case Reference"))
    said = subprocess.run(["pdfsig", path], capture_output=True, text=True, check=False).stdout
    assert "Signature is Valid" not in said


def test_it_is_carried_out_once(full: Bench) -> None:
    number = full.approved()
    sealed = full.disclose(number)
    with pytest.raises(Refusal) as caught:
        full.disclose(number)
    assert caught.value.code == "AlreadyUsed"
    again = release.again(full.d.orders, number, actor=full.actor("rolf"), now=full.now)
    assert again.package == sealed
    assert full.entries("order.packaged")[-1]["order"] == number
    with pytest.raises(Refusal):
        release.again(full.d.orders, number, actor=full.actor("lea"), now=full.now)
    full.d.expire(now=full.now + 31 * DAY)
    with pytest.raises(UnknownName):
        release.again(full.d.orders, number, actor=full.actor("rolf"), now=full.now)


def test_of_32_that_release_at_once_one_does(full: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    number, codes, packages = full.approved(), [], []
    monkeypatch.setattr(
        release,
        "_person",
        lambda session, number, _a, real=release._person: real(session, number, full.actor("rolf")),
    )
    barrier = threading.Barrier(32)

    def run() -> None:
        barrier.wait()
        try:
            packages.append(full.disclose(number))
        except PassersbyError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=run) for _ in range(32)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(packages) == 1
    assert codes == ["AlreadyUsed"] * 31
    assert len(full.entries("order.disclosed")) == 1
    assert len(full.entries("order.released")) == 1
    with full.d.database.read() as session:
        assert session.execute(text("SELECT remaining FROM court_order")).scalar() == 0


CHILD = """
import sys, time
from passersby.deployment.opened import Deployment
from passersby.disclosure import release
root, now, at = sys.argv[1], int(sys.argv[2]), sys.argv[3]
release.TICK_S = 0.001
import os
def die(*a, **k):
    os._exit(9)
setattr(release, at, die)
with Deployment.open(root, now=now) as d:
    actor = d.actor(d.layout.people / "rolf.key")
    release.disclose(d.orders, 1, actor=actor, now=now)
"""


@pytest.mark.slow
@pytest.mark.parametrize("at", ["_look_up", "_sealed", "_settle"])
def test_a_killed_release_is_run_again(full: Bench, at: str) -> None:
    number = full.approved()
    root = full.d.layout.root
    done = subprocess.run([sys.executable, "-c", CHILD, root, str(full.now), at], check=False)
    assert done.returncode == 9
    assert life.show(full.d.orders, number)[0].state == "releasing"
    with pytest.raises(Refusal) as caught:  # whoever began may still be at it
        full.disclose(number)
    assert caught.value.code == "AlreadyUsed"
    later = full.now + release.LEASE_S
    with pytest.raises(PassersbyError):
        life.refuse(
            full.d.orders, number, code="ConflictOfLaw", reason="x", actor=full.actor("paul"), now=full.now
        )
    assert len(unsealed(full.disclose(number, at=later)).pings) == 48
    assert len(full.entries("order.disclosed")) == 1


def test_a_release_that_fails_can_be_run_again_at_once(full: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    number = full.approved()
    with monkeypatch.context() as patch:
        patch.setattr(release, "_look_up", lambda *_a, **_k: (_ for _ in ()).throw(OperationError("x", "y")))
        with pytest.raises(OperationError):
            full.disclose(number)
    assert len(unsealed(full.disclose(number)).pings) == 48


def test_a_release_whose_claim_was_taken_over_gives_nothing(
    full: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, real = full.approved(), release._look_up

    def slow(*arguments: Any, **named: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(release, "_look_up", real)
            full.disclose(number, at=full.now + release.LEASE_S)
        return real(*arguments, **named)

    monkeypatch.setattr(release, "_look_up", slow)
    with pytest.raises(OperationError, match="lapsed"):
        full.disclose(number)
    assert len(full.entries("order.disclosed")) == 1


def test_unit_level_rows_never_lie_on_the_disk_in_clear(full: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    number, before = full.approved(), files(full)
    (temporary := full.d.layout.root.parent / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    full.disclose(number)
    assert list(temporary.iterdir()) == []
    new = files(full) - before
    assert not any((full.d.layout.root / path).stat().st_size for path in new if path.startswith("in-use/"))
    known = {"log", "in-use", "control.db", "control.db-wal", "control.db-shm"}
    assert {path.split("/")[0] for path in new} <= known
    needles = [b"46.94800", utc_text(MONDAY + 60).encode(), ANA.encode(), b"pings.csv"]
    for path in (full.d.layout.root / name for name in files(full) if not name.startswith("lake")):
        data = path.read_bytes()
        assert [needle for needle in needles if needle in data] == [], path.name


def files(full: Bench) -> set[str]:
    root = full.d.layout.root
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("delay", [0, 30 * DAY])
def test_holders_get_a_notice(full: Bench, delay: int) -> None:
    until = full.now + delay if delay else None
    number = full.approved(full.document(full.order(devices=(ANA, NOBODY), delay_until=until)))
    full.disclose(number)
    with full.d.database.read() as session:
        notices = session.scalars(select(Notice)).all()
        assert [(n.due, n.delayed, n.about) for n in notices] == [(full.now + delay, bool(delay), number)] * 2
    assert full.entries("notice.queued")[-1]["delayed"] is bool(delay)
    assert full.entries("order.disclosed")[-1]["notice_delayed"] is bool(delay)
    notes = health.status(full.d.database, full.d.config, now=full.now).notes
    assert any("notice" in line for line in notes) is not bool(delay)


def test_the_time_a_release_takes_is_a_whole_number_of_ticks(
    full: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    clock = iter([10.0, 12.5, 20.0, 21.0])
    monkeypatch.setattr(release, "TICK_S", 1000.0)
    monkeypatch.setattr(release, "time", SimpleNamespace(sleep=slept.append, monotonic=clock.__next__))
    number = full.submit()
    with pytest.raises(Refusal):
        full.disclose(number)
    full.approve(number, "lea")
    full.approve(number, "paul")
    full.disclose(number)
    assert slept == [997.5, 999.0]


def test_packages_come_in_steps_of_size() -> None:
    small, full_ = (
        package.sealed(str(IDENTITY.to_public()), {"pings.csv": bytes(n)}, now=0) for n in (0, 4_000_000)
    )
    same_size(small, full_)
    larger = package.sealed(str(IDENTITY.to_public()), {"pings.csv": bytes(5_000_000)}, now=0)
    assert len(pyrage.decrypt(larger, [IDENTITY])) == 4 * package.SMALLEST
    assert io.BytesIO(larger).read(3) == b"age"
