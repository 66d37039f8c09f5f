"""Deletion lists of hashed ids: who is on one is erased when their id arrives, and not before."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import select

from passersby.consent import listed, withdrawals
from passersby.deployment import holders
from passersby.errors import BadRecord, Refusal
from passersby.store.subject_tables import Erasure, ListedHash
from subjects.conftest import ANA, BEA, Scene

pytestmark = pytest.mark.slow

WRITTEN = {"lower": ANA, "upper": ANA.upper(), "compact": ANA.replace("-", "")}


def load(scene: Scene, *lines: str, form: str = "sha256:lower", person: str = "custodian") -> int:
    return holders.load_list(scene.d, "\n".join(lines), form=form, actor=scene.actor(person), now=scene.now)


def digest(name: str = ANA) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.mark.parametrize("form", listed.FORMS)
def test_each_form_is_recomputed(form: str) -> None:
    name, _, written = form.partition(":")
    assert listed.hashed(ANA, form).hex() == hashlib.new(name, WRITTEN[written].encode()).hexdigest()


def test_a_listed_device_is_erased_when_its_id_arrives(scene: Scene) -> None:
    assert load(scene, digest(), digest("somebody else"), "") == 2
    assert scene.seen(ANA) == 100  # nobody can be found among what is stored
    report = scene.take(scene.file((ANA, BEA), first=101, hours=2))
    assert (report.stored, report.rejected) == (6, {"withdrawn": 6})
    assert scene.seen(ANA) == 0
    assert scene.entries("subject.withdrawn")[-1]["cause"] == "list"
    scene.now += 1
    scene.d.sweep(scene.now)
    assert set(scene.rows(ANA).values()) == {0}
    assert scene.rows(BEA)["pings"] == 306
    again = scene.take(scene.file((ANA,), first=104, hours=2, name="again"))
    assert again.rejected == {"withdrawn": 6}
    with scene.d.database.read() as session:
        assert len(session.scalars(select(Erasure)).all()) == 1  # its tombstone stands: it is met once


def test_a_delivery_that_fails_has_met_nobody(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    load(scene, digest())

    def fails(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("passersby.ingest.pipeline.append", fails)
        with pytest.raises(KeyboardInterrupt):
            scene.take(scene.file((ANA, BEA), first=101, hours=2))
    assert scene.entries("subject.withdrawn") == []
    scene.take(scene.file((ANA, BEA), first=101, hours=2))
    assert scene.seen(ANA) == 0


def test_a_later_order_does_not_reach_who_is_on_a_list(scene: Scene) -> None:
    load(scene, digest(BEA))
    index = scene.entries("subject.listed")[-1]["index"]
    with scene.d.database.read() as session:
        for before, expected in ((None, [False, True]), (index, [False, False]), (index + 1, [False, True])):
            known = withdrawals.known(session, scene.d.ring, [ANA, BEA], before=before)
            assert known.tolist() == expected


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        ([], "sha256:lower"),
        (["x"], "sha256:lower"),
        ([digest(), ANA], "sha256:lower"),
        ([digest()], "sha1:lower"),
        ([digest()], "sha256"),
    ],
)
def test_what_is_no_list_is_not_in_force(scene: Scene, lines: list[str], form: str) -> None:
    with pytest.raises(BadRecord) as caught:
        load(scene, *lines, form=form)
    assert ANA not in caught.value.message
    with scene.d.database.read() as session:
        assert session.scalars(select(ListedHash)).all() == []


def test_loading_twice_adds_nothing_and_an_analyst_loads_none(scene: Scene) -> None:
    assert (load(scene, digest()), load(scene, digest())) == (1, 0)
    with pytest.raises(Refusal):
        load(scene, digest(), person="anna")
