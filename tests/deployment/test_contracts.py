"""A contract about positions that are never taken is refused, logged and counted, and leaves nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import forms
import worlds
from passersby.deployment import contracts
from passersby.errors import BadRecord, Refusal, UnreadableFile
from passersby.suppliers import registry


@pytest.mark.parametrize(
    ("source", "code"), [("Open RTB feed", "bidstream"), ("cell towers of Acme", "cell-towers")]
)
def test_a_banned_source_is_refused_logged_and_counted(asker: worlds.Asker, source: str, code: str) -> None:
    d, me = asker.d, asker.actor("custodian")
    path = d.layout.root / "supplier.toml"
    forms.fill(path, forms.FILLED["supplier.toml"] | {"original_source": source})
    with pytest.raises(Refusal) as refused:
        contracts.add(d, path.read_text(), actor=me, now=worlds.now())
    assert refused.value.code == code
    (entry,) = asker.entries("act.refused")
    assert (entry["act"], entry["code"]) == ("supplier.add", code)
    with d.database.read() as session:
        assert "sovrn" not in {each.contract.id for each in registry.list_all(session)}


def test_evidence_is_archived_by_its_hash_or_nothing_is_recorded(asker: worlds.Asker, tmp_path: Path) -> None:
    d = asker.d
    archive, form = tmp_path / "a.zip", d.layout.root / "assessment.toml"
    archive.write_bytes(b"letters")
    sha256 = hashlib.sha256(b"letters").hexdigest()
    before = len(asker.entries("supplier.assessed"))

    def assess(person: str = "custodian", evidence: Path = archive, **changed: str) -> None:
        forms.fill(form, forms.FILLED["assessment.toml"] | {"supplier": "veraset", **changed})
        text, actor = form.read_text(), asker.actor(person)
        contracts.assess(d, "veraset", text, evidence=evidence, actor=actor, now=worlds.now())

    with pytest.raises(BadRecord, match="SHA-256"):
        assess()
    with pytest.raises(UnreadableFile):
        assess(evidence=tmp_path / "nothing")
    with pytest.raises(Refusal):
        assess("anna", evidence_sha256=sha256)
    assert asker.entries("act.refused")[-1]["act"] == "supplier.assess"
    assert len(asker.entries("supplier.assessed")) == before
    assert not (d.layout.root / contracts.EVIDENCE).exists()
    assess(evidence_sha256=sha256)
    kept = d.layout.root / contracts.EVIDENCE / sha256
    assert kept.read_bytes() == b"letters"
    assert kept.stat().st_mode & 0o077 == 0
    assert len(asker.entries("supplier.assessed")) == before + 1
