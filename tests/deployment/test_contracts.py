"""A contract about positions that are never taken is refused, logged and counted, and leaves nothing."""

from __future__ import annotations

import pytest

import forms
import worlds
from passersby.deployment import contracts
from passersby.errors import Refusal
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
