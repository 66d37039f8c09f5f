"""What each proof opens, and what none opens: each path of a false subject, and of a true one."""

from __future__ import annotations

import json
from typing import Any

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

import worlds
from passersby.demo import story
from passersby.deployment import acts, freezing, holders
from passersby.errors import PassersbyError, Refusal, UnreadableFile, UsageError
from passersby.gate import gate
from passersby.model.period import DAY, HOUR
from passersby.notices import queue
from passersby.policy import freeze
from passersby.store.subject_tables import SubjectRequest
from passersby.subjects import access, proofs, requests, shown
from passersby.subjects.proofs import Claim
from passersby.trustlog.receipts import reveal
from subjects.conftest import ANA, BEA, MONDAY, Scene

pytestmark = pytest.mark.slow

APP, PHONE, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
MONTHS = ("2026-05",)


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def proof(
    scene: Scene, what: str, key: Ed25519PrivateKey = APP, *, at: int | None = None, **changed: Any
) -> bytes:
    claim = {
        "what": what,
        "devices": [ANA],
        "deployment": scene.d.publisher.origin,
        "supplier": "simple",
        "signer": proofs.DEVICE if key is PHONE else proofs.APP,
        "recipient": RECIPIENT if what == proofs.COPY else "",
        **changed,
    }
    return proofs.make(Claim(**claim), key, now=scene.now if at is None else at)


@pytest.fixture
def enrolled(scene: Scene) -> Scene:
    """The scene with an app of `simple`, and the key of Ana's phone."""
    made = holders.propose_app(scene.d, "simple", public(APP), actor=scene.actor(), now=scene.now)
    acts.approve(scene.d, made.id, actor=scene.actor("paula"), now=scene.now)
    keys = proof(scene, proofs.ENROL, devices=[ANA], keys=[public(PHONE)])
    assert holders.enrol(scene.d, keys, actor=scene.actor(), now=scene.now) == 1
    return scene


def see(scene: Scene, document: bytes, what: str = proofs.SHOW) -> Any:
    return holders.see(scene.d, document, what, actor=scene.actor(), now=scene.now)


def copy(scene: Scene, document: bytes) -> Any:
    return holders.copy(scene.d, document, actor=scene.actor(), now=scene.now)


def code(act: Any, *arguments: Any) -> str:
    with pytest.raises(Refusal) as caught:
        act(*arguments)
    return caught.value.code


@pytest.mark.parametrize("key", [APP, PHONE])
def test_a_proof_through_one_supplier_opens_that_suppliers_part_only(
    enrolled: Scene, key: Ed25519PrivateKey
) -> None:
    found = see(enrolled, proof(enrolled, proofs.SHOW, key))
    assert found.pings == {"simple": MONTHS}
    assert found.derived is None
    assert shown.DELAYED in found.to_json()["not_listed"]


def test_nothing_but_suppliers_and_months_is_shown(enrolled: Scene) -> None:
    text = json.dumps(see(enrolled, proof(enrolled, proofs.SHOW)).to_json())
    for secret in ("4694", "46.9", "7.44", str(MONDAY), ANA, str(enrolled.device(ANA)), "2026-05-1"):
        assert secret not in text


def test_who_withdrew_still_sees_what_is_held_until_it_is_erased(enrolled: Scene) -> None:
    holders.withdraw(enrolled.d, [ANA], actor=enrolled.actor(), now=enrolled.now)
    assert see(enrolled, proof(enrolled, proofs.SHOW)).pings == {"simple": MONTHS}
    holders.erase(enrolled.d, [ANA], actor=enrolled.actor(), now=enrolled.now)
    assert see(enrolled, proof(enrolled, proofs.SHOW)).pings == {}


WRONG: dict[str, dict[str, Any]] = {
    "a strange key": {"key": OTHER},
    "the phone's key as the app's": {"key": PHONE, "signer": proofs.APP},
    "the app's key as the phone's": {"key": APP, "signer": proofs.DEVICE},
    "the key of another phone": {"key": PHONE, "devices": [BEA]},
    "another supplier": {"supplier": "other"},
    "no supplier": {"supplier": "nobody"},
    "another deployment": {"deployment": "elsewhere"},
    "another thing": {"what": proofs.RECIPIENTS},
    "too old": {"at": -DAY},
    "of tomorrow": {"at": DAY},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_prove_the_holder_is_refused_in_one_way(enrolled: Scene, name: str) -> None:
    changed = {"what": proofs.SHOW, **WRONG[name]}
    if "at" in changed:
        changed["at"] += enrolled.now
    document = proof(enrolled, **changed)
    assert code(see, enrolled, document) == "proof-invalid"
    assert enrolled.entries("act.refused")[-1]["code"] == "proof-invalid"
    assert enrolled.entries("subject.shown") == []


def test_a_proof_that_was_changed_is_refused(enrolled: Scene) -> None:
    good = json.loads(proof(enrolled, proofs.SHOW))
    for name, value in (
        ("devices", [BEA]),
        ("nonce", "0" * 32),
        ("made", good["made"] + 1),
        ("signature", "00"),
    ):
        assert code(see, enrolled, json.dumps({**good, name: value}).encode()) == "proof-invalid"


def test_a_proof_works_once(enrolled: Scene) -> None:
    document = proof(enrolled, proofs.SHOW)
    see(enrolled, document)
    assert code(see, enrolled, document) == "proof-invalid"
    again = json.dumps(json.loads(document)).encode()  # the same statement in other bytes
    assert code(see, enrolled, again) == "proof-invalid"


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text(max_size=5), lambda s: st.lists(s) | st.dictionaries(st.text(max_size=4), s)
    ).map(lambda v: json.dumps(v).encode())
)
def test_foreign_bytes_are_no_proof(document: bytes) -> None:
    with pytest.raises(UnreadableFile):
        proofs._parsed(document)


@settings(max_examples=300)
@given(st.data())
def test_a_spoiled_proof_ends_in_one_of_our_errors(data: st.DataObject) -> None:
    claim = Claim(proofs.SHOW, [ANA], "d", "simple", proofs.APP)
    whole = json.loads(proofs.make(claim, APP, now=MONDAY))
    name = data.draw(st.sampled_from(sorted(whole)))
    whole[name] = data.draw(st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3)))
    try:
        body, _ = proofs._parsed(json.dumps(whole).encode())
    except PassersbyError:
        return
    assert set(body) == set(proofs.FIELDS)


def test_a_device_key_is_never_replaced(enrolled: Scene) -> None:
    again = proof(enrolled, proofs.ENROL, devices=[ANA], keys=[public(OTHER)])
    assert holders.enrol(enrolled.d, again, actor=enrolled.actor(), now=enrolled.now) == 0
    stolen = proof(enrolled, proofs.SHOW, OTHER, signer=proofs.DEVICE)
    assert code(see, enrolled, stolen) == "proof-invalid"


def test_device_keys_come_from_the_app_and_its_key_takes_two_people(scene: Scene) -> None:
    keys = proof(scene, proofs.ENROL, devices=[ANA], keys=[public(PHONE)])
    enrol = holders.enrol
    with pytest.raises(Refusal):
        enrol(scene.d, keys, actor=scene.actor(), now=scene.now)
    made = holders.propose_app(scene.d, "simple", public(APP), actor=scene.actor(), now=scene.now)
    with pytest.raises(Refusal):
        enrol(scene.d, keys, actor=scene.actor(), now=scene.now)
    with pytest.raises(Refusal) as caught:
        acts.approve(scene.d, made.id, actor=scene.actor(), now=scene.now)
    assert caught.value.code in {"same-person", "role-missing"}
    acts.approve(scene.d, made.id, actor=scene.actor("paula"), now=scene.now)
    assert enrol(scene.d, keys, actor=scene.actor(), now=scene.now) == 1
    with pytest.raises(UsageError):
        holders.propose_app(scene.d, "nobody", public(APP), actor=scene.actor(), now=scene.now)


def fetch(scene: Scene) -> list[dict[str, Any]]:
    """Let the app fetch the notices of Ana's phone."""
    return holders.notices(scene.d, proof(scene, proofs.NOTICES), actor=scene.actor(), now=scene.now)


def test_a_copy_takes_two_requests_72_hours_apart_and_a_notice_between(enrolled: Scene) -> None:
    first = copy(enrolled, proof(enrolled, proofs.COPY, PHONE))
    assert first.package == b""
    assert first.not_before == enrolled.now + 72 * HOUR
    (told,) = fetch(enrolled)
    assert (told["what"], told["about"]) == ("copy", first.request)
    enrolled.now += 72 * HOUR
    done = copy(enrolled, proof(enrolled, proofs.COPY, PHONE))
    lines = pyrage.decrypt(done.package, [IDENTITY]).decode().splitlines()
    assert lines[:2] == ["# pings from simple", "time,latitude,longitude,accuracy_m"]
    assert len(lines) == 2 + 300  # of this phone, from this supplier
    assert {line.split(",")[1] for line in lines[2:]} == {"46.94800", "46.75800"}
    assert enrolled.entries("subject.copied")[-1]["request"] == first.request
    third = copy(enrolled, proof(enrolled, proofs.COPY, PHONE))
    assert third.package == b""  # it begins anew


def test_no_copy_is_handed_out_in_a_freeze_and_none_is_lost(enrolled: Scene) -> None:
    copy(enrolled, proof(enrolled, proofs.COPY, PHONE))
    fetch(enrolled)
    enrolled.now += 72 * HOUR
    freezing.stop(enrolled.d, reason="a leak", actor=enrolled.actor(), now=enrolled.now)
    second = proof(enrolled, proofs.COPY, PHONE)
    assert code(copy, enrolled, second) == "frozen"
    with enrolled.d.writing() as session:
        freeze.end(session, 1, proposal=1, now=enrolled.now)
    assert copy(enrolled, second).package


@pytest.mark.parametrize("wrong", ["too early", "no notice", "signed too early"])
def test_the_second_request_is_refused(enrolled: Scene, wrong: str) -> None:
    first = copy(enrolled, proof(enrolled, proofs.COPY, PHONE))
    early = proof(enrolled, proofs.COPY, PHONE, at=enrolled.now + 72 * HOUR - 1)
    if wrong != "no notice":
        fetch(enrolled)
    enrolled.now += 72 * HOUR - (wrong == "too early")
    document = early if wrong == "signed too early" else proof(enrolled, proofs.COPY, PHONE)
    assert code(copy, enrolled, document) == "copy-waits"
    assert enrolled.entries("subject.copied") == []
    with enrolled.d.database.read() as session:
        assert session.get_one(SubjectRequest, first.request).done is None


def test_an_app_gets_no_copy_and_a_phone_no_notices(enrolled: Scene) -> None:
    assert code(copy, enrolled, proof(enrolled, proofs.COPY, APP)) == "proof-invalid"
    asked = proof(enrolled, proofs.NOTICES, PHONE)
    with pytest.raises(Refusal):
        holders.notices(enrolled.d, asked, actor=enrolled.actor(), now=enrolled.now)


def test_the_holder_can_stop_a_copy_that_somebody_else_asked_for(enrolled: Scene) -> None:
    copy(enrolled, proof(enrolled, proofs.COPY, PHONE))
    fetch(enrolled)
    copy(enrolled, proof(enrolled, proofs.STOP, APP))
    enrolled.now += 72 * HOUR
    assert copy(enrolled, proof(enrolled, proofs.COPY, PHONE)).package == b""


def test_a_first_request_lapses(enrolled: Scene) -> None:
    copy(enrolled, proof(enrolled, proofs.COPY, PHONE))
    fetch(enrolled)
    enrolled.now += 31 * DAY
    assert copy(enrolled, proof(enrolled, proofs.COPY, PHONE)).package == b""


def checked(scene: Scene, *, approve: bool = True) -> int:
    made = holders.propose_check(
        scene.d, [ANA], "passport and phone seen", actor=scene.actor(), now=scene.now
    )
    if approve:
        acts.approve(scene.d, made.id, actor=scene.actor("paula"), now=scene.now)
    return made.id


def see_checked(scene: Scene, number: int, name: str = ANA, what: str = proofs.SHOW) -> Any:
    return holders.see_checked(scene.d, number, [name], what, actor=scene.actor(), now=scene.now)


def test_an_operators_check_opens_all_suppliers_and_takes_two_people(scene: Scene) -> None:
    number = checked(scene, approve=False)
    assert code(see_checked, scene, number) == "proof-invalid"
    with pytest.raises(Refusal):
        acts.approve(scene.d, number, actor=scene.actor(), now=scene.now)
    acts.approve(scene.d, number, actor=scene.actor("paula"), now=scene.now)
    found = see_checked(scene, number)
    assert found.pings == {"simple": MONTHS, "other": MONTHS}
    assert found.derived == MONTHS
    assert code(see_checked, scene, number) == "proof-invalid"  # once
    assert see_checked(scene, number, what=proofs.RECIPIENTS).courts == ()


def test_a_check_is_of_one_device(scene: Scene) -> None:
    assert code(see_checked, scene, checked(scene), BEA) == "proof-invalid"
    with pytest.raises(UsageError):
        holders.propose_check(scene.d, [ANA, BEA], "seen", actor=scene.actor(), now=scene.now)
    with pytest.raises(UsageError):
        holders.propose_check(scene.d, [ANA], " ", actor=scene.actor(), now=scene.now)


def test_no_record_and_no_entry_names_the_device(scene: Scene) -> None:
    number = checked(scene)
    see_checked(scene, number)
    for entry in scene.entries():
        with scene.d.database.read() as session:
            text = json.dumps([entry, [str(f.value) for f in reveal(session, entry["index"])]])
        assert ANA not in text
        assert str(scene.device(ANA)) not in text
    assert ANA.encode() not in (scene.d.layout.root / "control.db").read_bytes()


def test_recipients_are_courts_without_delay_and_licensees(enrolled: Scene) -> None:
    with enrolled.d.database.write() as session:
        queue.queue(
            session, enrolled.d.ring, [ANA], about=1, delay_until=enrolled.now + DAY, now=enrolled.now
        )
    found = see(enrolled, proof(enrolled, proofs.RECIPIENTS), proofs.RECIPIENTS)
    assert found.courts == ()  # and nothing fails for want of an order: the notice is not looked at yet
    assert found.to_json()["not_listed"] == [shown.DELAYED]


def test_licensees_are_those_who_were_answered(enrolled: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    assert see(enrolled, proof(enrolled, proofs.RECIPIENTS), proofs.RECIPIENTS).licensees == ()
    worlds.Asker(enrolled.d).ask(at=enrolled.now)
    (found,) = see(enrolled, proof(enrolled, proofs.RECIPIENTS), proofs.RECIPIENTS).licensees
    assert (found["licence"], found["periods"]) == (worlds.LICENCE, [story.PERIOD])


def test_an_analyst_sees_nobody(enrolled: Scene) -> None:
    document = proof(enrolled, proofs.SHOW)
    with pytest.raises(Refusal) as caught:
        holders.see(enrolled.d, document, proofs.SHOW, actor=enrolled.actor("anna"), now=enrolled.now)
    assert caught.value.code == "role-missing"


def test_clocks_run_from_the_day_of_arrival(scene: Scene) -> None:
    arrived = scene.now - 20 * DAY
    holders.propose_check(scene.d, [ANA], "seen", received=arrived, actor=scene.actor(), now=scene.now)
    with scene.d.database.read() as session:
        (duty,) = requests.duties(session)
    assert duty.what == "holder's request 1: show"
    assert duty.due == arrived + 30 * DAY
    acts.approve(scene.d, 1, actor=scene.actor("paula"), now=scene.now)
    see_checked(scene, 1)
    with scene.d.database.read() as session:
        assert list(requests.duties(session)) == []
        assert all(row.done for row in session.scalars(select(SubjectRequest)))


def test_what_waits_for_the_holder_or_was_refused_is_not_due(enrolled: Scene) -> None:
    copy(enrolled, proof(enrolled, proofs.COPY, PHONE))
    number = checked(enrolled, approve=False)
    with enrolled.d.database.read() as session:
        assert len(list(requests.duties(session))) == 1
    acts.refuse(enrolled.d, number, reason="no", actor=enrolled.actor("paula"), now=enrolled.now)
    with enrolled.d.database.read() as session:
        assert list(requests.duties(session)) == []


def test_a_proof_that_stops_works_once(enrolled: Scene) -> None:
    stop = proof(enrolled, proofs.STOP, APP)
    copy(enrolled, stop)
    assert code(copy, enrolled, stop) == "proof-invalid"


def test_a_request_of_the_future_is_a_mistake(scene: Scene) -> None:
    with pytest.raises(UsageError):
        holders.withdraw(scene.d, [ANA], actor=scene.actor(), received=scene.now + DAY, now=scene.now)
    assert scene.seen(ANA) == 100
    assert access.WAIT_S == 72 * HOUR
