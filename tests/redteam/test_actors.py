"""Actors who mean harm, each against a whole small deployment: what they try, and what stops them.

Attacks from outside are here as far as there is an outside: no server listens yet. Witnesses and forked logs
are attacked in tests/trustlog, races in tests/privacy and tests/disclosure; tests/proof plants a phone.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import worlds
from disclosure import scene
from disclosure.scene import ANA, BEA, BERN, Bench
from passersby.custody.reports import checking, transparency
from passersby.custody.reports.reading import Days
from passersby.deployment import courts, places
from passersby.disclosure import order
from passersby.disclosure.testcourt import Court
from passersby.errors import BadRecord, IntegrityError, NotReady, Refusal
from passersby.model.period import DAY, Span, day_name
from passersby.model.place import Area
from passersby.people import proposals
from passersby.policy import licence as licences
from passersby.suppliers import contract as contracts
from passersby.trustlog.sources import Disk
from passersby.trustlog.verify import verify_folder

pytestmark = pytest.mark.slow

DAYS = [f"2026-05-{day}" for day in range(11, 17)]
HOUSE = (BERN[1], BERN[0], BERN[1] + 0.0005, BERN[0] + 0.0005)


@pytest.mark.parametrize(
    ("tried", "code"),
    [
        ({"measure": "devices"}, "device-level-request"),
        ({"measure": "tracks"}, "device-level-request"),
        ({"measure": "home-of-a-device"}, "unknown-measure"),
        ({"purpose": "passersby:ReIdentification"}, "purpose-prohibited"),
        ({"purpose": "passersby:EnforcementAgainstIndividuals"}, "purpose-prohibited"),
        ({"purpose": "dpv:Advertising"}, "purpose-not-licensed"),
        ({"resolution": 9}, "resolution-too-fine"),
        ({"licence": "of-somebody-else"}, "unknown-licence"),
        ({"epsilon": 50.0}, "epsilon-over-question-cap"),
        ({"case": ""}, "case-missing"),
        ({"area": Area.from_bbox(*HOUSE, resolution=13)}, "area-too-small"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_curious_analyst(asker: worlds.Asker, tried: dict[str, Any], code: str) -> None:
    before = asker.spent()
    assert asker.refused(**tried).code == code
    assert asker.entries("question.refused")[-1]["code"] == code
    assert asker.spent() == before


def test_a_curious_analyst_asks_until_nothing_is_left(asker: worlds.Asker) -> None:
    codes = {_asked(asker, period=day, epsilon=1.0) for day in DAYS}
    assert codes == {"", "budget-spent"}
    caps = {row.period: row.cap.value for row in asker.d.balances()}
    assert all(spent <= caps[period] for period, spent in asker.spent().items())


def test_colluding_analysts(asker: worlds.Asker) -> None:
    """Two licences share the cap of all, and one question has one answer: there is no noise to average."""
    asker.person("bob", "analyst")
    asker.licence("other", people=("bob",), holder="Another firm")
    assert asker.refused(person="bob").code == "not-on-licence"
    mine = asker.ask()
    spent = asker.spent()
    theirs = asker.ask(person="bob", licence="other")
    assert not theirs.new
    assert theirs.release.rows.equals(mine.release.rows)
    assert asker.spent() == spent
    codes = {
        code
        for day in DAYS
        for person, name in (("anna", worlds.LICENCE), ("bob", "other"))
        if (code := _asked(asker, person=person, licence=name, period=day, epsilon=1.0))
    }
    assert codes == {"budget-spent"}
    assert all(row.spent.value <= row.cap.value for row in asker.d.balances())


def test_an_insider_invents_and_widens_an_order(bench: Bench, rogue: Court) -> None:
    assert bench.code(b'{"LDTask": {}}') == "NotMachineVerifiable"
    assert bench.code(bench.document(by=rogue)) in {"InvalidIssuingAuthority", "SignatureInvalid"}
    signed = json.loads(bench.document())
    wider = order.written(bench.order(devices=(ANA, BEA)))
    signed["payload"] = base64.urlsafe_b64encode(wider).rstrip(b"=").decode()
    assert bench.code(json.dumps(signed).encode()) == "SignatureInvalid"


def test_an_insider_approves_alone_and_uses_an_order_twice(bench: Bench) -> None:
    document = bench.document()
    number = bench.submit(document)
    bench.approve(number, "lea")
    for person, code in (("lea", "SamePersonTwice"), ("both", "TwoRolesInOneHand"), ("anna", "role-missing")):
        with pytest.raises(Refusal) as caught:
            bench.approve(number, person)
        assert caught.value.code == code
    for person, code in (("rolf", "NotApproved"), ("lea", "role-missing"), ("triple", "TwoRolesInOneHand")):
        with pytest.raises(Refusal) as caught:
            bench.disclose(number, person)
        assert caught.value.code == code
    bench.approve(number, "paul")
    bench.disclose(number)
    with pytest.raises(Refusal) as caught:
        bench.disclose(number)
    assert caught.value.code == "AlreadyUsed"
    assert bench.code(document) == "AlreadyUsed"
    assert len(bench.entries("order.disclosed")) == 1


@pytest.mark.parametrize("person", ["anna", "custodian"])
def test_a_stolen_key_opens_what_its_owner_may_and_no_more(bench: Bench, person: str) -> None:
    """Instead of a token: no server gives any out yet."""
    number = bench.submit()
    for act in (bench.approve, bench.disclose):
        with pytest.raises(Refusal) as caught:
            act(number, person)
        assert caught.value.code == "role-missing"


def test_a_coerced_operator(bench: Bench) -> None:
    values = json.loads(order.written(bench.order()))
    assert (
        bench.code(bench.document(_changed(values, AuthorisationLegalType="administrative"))) == "NotJudicial"
    )
    assert bench.code(bench.document(bench.order(area=_box(), devices=()))) == "ReverseSearchRefused"
    live = Span(scene.MONDAY, bench.now + DAY)
    assert bench.code(bench.document(bench.order(window=live))) in {"WindowOpen", "ScopeTooBroad"}
    days = Days(bench.now // DAY - 1, bench.now // DAY + 1)
    made, _ = transparency.report(Disk(bench.d.layout.log), bench.d.vkey, days)
    assert made["public"]["orders"]["received"] == 3
    assert made["public"]["reverse_searches"]["refused"] == 1
    made["public"]["orders"]["received"] = 0  # and says that nobody came
    with pytest.raises(IntegrityError):
        checking.check(json.dumps(made).encode(), bench.d.vkey, Disk(bench.d.layout.log))


def test_a_supplier(bench: Bench, tmp_path: Path) -> None:
    with bench.d.database.read() as session:
        row = session.execute(text("SELECT contract FROM supplier WHERE id = 'veraset'")).scalar_one()
    record = json.loads(row)["record"] if "record" in json.loads(row) else json.loads(row)
    for field in ("collection_method", "original_source"):
        with pytest.raises((Refusal, BadRecord)):
            contracts.from_record({**record, field: "an RTB exchange's bidstream"})
    poisoned = tmp_path / "poisoned.csv"
    poisoned.write_bytes(b"\x00\xff" * 1000)
    before = bench.d.releases()
    with pytest.raises(Exception) as caught:  # noqa: PT011 (which error it is depends on the schema)
        bench.d.ingest([poisoned], "veraset", now=bench.now)
    assert type(caught.value).__module__ == "passersby.errors"
    assert bench.d.releases() == before
    overdue = bench.now + 400 * DAY
    with pytest.raises(NotReady):
        bench.d.ingest([poisoned], "veraset", now=overdue)


def test_a_database_administrator(bench: Bench) -> None:
    number = bench.submit()
    with bench.d.database.write() as session:
        session.execute(text("UPDATE court_order SET state = 'approved', remaining = 9"))
    with pytest.raises(Refusal) as caught:
        bench.disclose(number)
    assert caught.value.code == "NotApproved"
    worlds.Asker(bench.d).ask()
    with bench.d.database.write() as session:
        session.execute(text("UPDATE budget SET spent = 0"))
    with pytest.raises(IntegrityError):
        bench.d.verify_ledger()
    with bench.d.database.write() as session:
        session.execute(text("UPDATE licence SET record = replace(record, 'Institute', 'Agency')"))
    with bench.d.database.read() as session, pytest.raises(IntegrityError):
        licences.list_all(session)
    with bench.d.database.write() as session:
        session.execute(text('DELETE FROM log_entry WHERE "index" = 3'))
    with pytest.raises(IntegrityError):
        bench.d.verify_log()


def test_an_insider_of_the_court_registry(bench: Bench, rogue: Court) -> None:
    record = scene.records_of(rogue, "own")[0]
    cara = bench.actor("custodian")
    made = courts.propose(bench.d, record, actor=cara, now=bench.now)
    with pytest.raises(Refusal) as caught, bench.d.writing() as session:
        proposals.approve(session, made.id, actor=cara, now=bench.now)
    assert caught.value.code == "same-person"
    document = bench.document(bench.order(court="own"), by=rogue)
    assert bench.code(document) == "InvalidIssuingAuthority"


def test_a_custodian_with_a_licensee(bench: Bench, asker: worlds.Asker, tmp_path: Path) -> None:
    """One house as an area, one house as a list, weeks that are not over, a licence for one house."""
    one = tmp_path / "one.csv"
    one.write_text(f"lat,lon,name,category\n{BERN[0]},{BERN[1]},house,medical\n")
    with pytest.raises(NotReady, match="two people"):
        bench.d.sensitive.load(one, name="house", actor=bench.actor("custodian"), now=bench.now)
    change = places.load(bench.d, one, name="house", actor=bench.actor("custodian"), now=bench.now)
    assert change.proposal is not None
    with pytest.raises(Refusal) as caught, bench.d.writing() as session:
        proposals.approve(session, change.proposal, actor=bench.actor("custodian"), now=bench.now)
    assert caught.value.code == "same-person"
    assert [found.name for found in bench.d.sensitive.current()] == ["health"]
    fresh = day_name(bench.now // DAY - 1)
    assert asker.refused(period=fresh).code in {
        "dates-outside-licence",
        "period-open",
        "purpose-not-in-notice",
    }
    with bench.d.database.read() as session:
        cells = licences.get(session, worlds.LICENCE).licence.cells
    assert all((cell >> 52) & 15 == 5 for cell in cells)


def test_somebody_on_the_network(bench: Bench) -> None:
    """A log from elsewhere, or one that was changed on its way, verifies under no key but its own."""
    folder = bench.d.layout.log
    name, _, rest = bench.d.vkey.partition("+")
    other = f"{name}+{rest[:-4]}AAA="
    with pytest.raises(Exception) as caught:  # noqa: PT011 (malformed or not the signer)
        verify_folder(folder, other)
    assert type(caught.value).__module__ == "passersby.errors"
    bundle = next(path for path in (folder / "tile" / "entries").rglob("*") if path.is_file())
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.chmod(0o600)
    bundle.write_bytes(bytes(data))
    with pytest.raises(IntegrityError):
        verify_folder(folder, bench.d.vkey)


def _asked(asker: worlds.Asker, **changed: Any) -> str:
    """Ask; return the code of the refusal, "" for an answer."""
    try:
        asker.ask(**changed)
    except Refusal as refused:
        return refused.code
    return ""


def _changed(values: dict[str, Any], **changed: Any) -> bytes:
    return json.dumps({**values, **changed}).encode()


def _box() -> dict[str, Any]:
    west, south, east, north = HOUSE
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}
