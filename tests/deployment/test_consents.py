"""A register between deliveries: in force at once, for a suspended supplier too, logged, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

import worlds
from passersby.deployment import consents
from passersby.errors import BadRecord, Refusal, UnknownName
from passersby.suppliers import registry

HEADER = "id,given_at,state,collection_method\n"


def load(
    asker: worlds.Asker, path: Path, *rows: str, supplier: str = "veraset", person: str = "custodian"
) -> int:
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return consents.load(asker.d, path, supplier, actor=asker.actor(person), now=worlds.now()).version


def test_it_is_in_force_at_once_and_logged(asker: worlds.Asker, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    with asker.d.writing() as session:
        registry.suspend(session, "veraset", reason="x", actor=asker.actor("custodian"), now=worlds.now())
    assert load(asker, path, "a,1700000000,given,") == 1
    assert load(asker, path, "a,1700000000,withdrawn,") == 2
    assert [(f.supplier, f.version) for f in consents.in_force(asker.d)] == [("veraset", 2)]
    assert [entry["version"] for entry in asker.entries("consent.loaded")] == [1, 2]
    assert asker.d.verify_log().unpublished == 0


def test_what_cannot_be_loaded_leaves_nothing(asker: worlds.Asker, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    with pytest.raises(UnknownName):
        load(asker, path, "a,1700000000,given,", supplier="nobody")
    with pytest.raises(BadRecord):
        load(asker, path, "a,1700000000,maybe,")
    with pytest.raises(Refusal) as refused:
        load(asker, path, "a,1700000000,given,bid stream")
    assert refused.value.code == "bidstream"
    assert asker.entries("delivery.refused")[-1]["code"] == "bidstream"
    with pytest.raises(Refusal) as refused:
        load(asker, path, "a,1700000000,given,", person="anna")
    assert refused.value.code == "role-missing"
    assert consents.in_force(asker.d) == []
