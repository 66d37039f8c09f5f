"""The log's key is replaced: readers follow from the old key to the new one, and are not led elsewhere."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from passersby.errors import Busy, IntegrityError
from passersby.trustlog import rekey
from passersby.trustlog.checkpoint import Checkpoint, VerifierKey, sign, unverified, verified
from passersby.trustlog.publish import Publisher
from passersby.trustlog.verify import verify_database, verify_folder
from trustlog.rekeyed import KEYS, ORIGIN, VKEYS, Rekeyed


def test_the_checkpoint_at_the_change_is_signed_by_both(rekeyed: Rekeyed) -> None:
    rekeyed.replace()
    for vkey in VKEYS[:2]:
        assert verified(rekeyed.note(), vkey).size == 11
    rekeyed.log.grown(1)
    assert verified(rekeyed.note(), VKEYS[1]).size == 12
    with pytest.raises(IntegrityError, match="no signature"):
        verified(rekeyed.note(), VKEYS[0])


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("more", [0, 300])
def test_every_key_leads_to_the_newest(rekeyed: Rekeyed, times: int, more: int) -> None:
    for _ in range(times):
        rekeyed.replace()
        if more:
            rekeyed.log.grown(more)
    for vkey in VKEYS[: times + 1]:
        report = verify_folder(rekeyed.folder, vkey)
        assert report.size == 10 + times * (more + 1)
        changes = [(change.old, change.new) for change in report.rekeyed]
        assert changes == list(pairwise(VKEYS[: times + 1]))
    assert verify_database(rekeyed.log.database, rekeyed.folder, VKEYS[times]).unpublished == 0
    with pytest.raises(IntegrityError, match="no signature"):
        verify_folder(rekeyed.folder, VerifierKey.of(ORIGIN, Ed25519PrivateKey.generate()).encode())


def test_checkpoints_that_were_saved_before(rekeyed: Rekeyed) -> None:
    rekeyed.replace()
    at_change = rekeyed.note()
    rekeyed.log.grown(5)
    rekeyed.replace()
    rekeyed.log.grown(5)
    for vkey in VKEYS[:3]:
        for older in (*rekeyed.saved, at_change, rekeyed.note()):
            verify_folder(rekeyed.folder, vkey, older=older)
    forged = sign(Checkpoint(ORIGIN, 5, bytes(32)), KEYS[3]).encode()
    with pytest.raises(IntegrityError, match="no signature"):
        verify_folder(rekeyed.folder, VKEYS[2], older=forged)
    with pytest.raises(IntegrityError, match="rewritten"):
        verify_folder(
            rekeyed.folder, VKEYS[2], older=sign(Checkpoint(ORIGIN, 5, bytes(32)), KEYS[0]).encode()
        )


def test_a_replaced_key_signs_nothing_any_more(rekeyed: Rekeyed) -> None:
    """It was stolen, and signs the very log."""
    rekeyed.replace()
    rekeyed.log.grown(5)
    stolen = sign(unverified(rekeyed.note()), KEYS[0]).encode()
    with pytest.raises(IntegrityError, match="replaced in entry 10"):
        verify_folder(rekeyed.folder, VKEYS[0], older=stolen)
    (rekeyed.folder / "checkpoint").write_bytes(stolen)
    for vkey in VKEYS[:2]:
        with pytest.raises(IntegrityError, match="no signature"):
            verify_folder(rekeyed.folder, vkey)


@pytest.mark.parametrize("changed", ["old_signature", "new_signature"])
def test_a_change_that_one_key_did_not_sign(
    rekeyed: Rekeyed, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: dict[str, Any] = {changed: rekey.fields(ORIGIN, KEYS[2], KEYS[3])[changed]}
    with pytest.raises(IntegrityError, match="not both keys signed"):
        rekeyed.replace(**wrong)
    assert unverified(rekeyed.note()).size == 10
    monkeypatch.setattr(rekey, "check_current", lambda *_: None)
    rekeyed.log.publish()
    with pytest.raises(IntegrityError, match="not both keys signed"):
        verify_folder(rekeyed.folder, VKEYS[1])


def test_a_change_from_a_key_that_the_log_did_not_have(rekeyed: Rekeyed) -> None:
    rekeyed.replace()
    rekeyed.now = 2
    rekeyed.replace(publish=False)
    rekeyed.log.publish()
    (rekeyed.folder / "checkpoint").write_bytes(sign(unverified(rekeyed.note()), KEYS[3]).encode())
    with pytest.raises(IntegrityError, match="did not have"):
        verify_folder(rekeyed.folder, VKEYS[3])


def test_a_log_of_strangers_is_not_followed(rekeyed: Rekeyed) -> None:
    """Whoever writes the folder can announce a change between keys of their own."""
    rekeyed.now = 1
    rekeyed.replace(publish=False)
    rekeyed.log.publisher.sign_with(KEYS[0])
    rekeyed.log.publish()
    with pytest.raises(IntegrityError, match="not the one that the log's entries lead to"):
        verify_folder(rekeyed.folder, VKEYS[0])


def test_an_entry_that_was_changed_leads_nowhere(rekeyed: Rekeyed) -> None:
    """The checkpoint is of the new key, the entry that leads there is forged into the bundle."""
    shutil.copytree(rekeyed.folder, rekeyed.folder.parent / "before")
    rekeyed.replace()
    bundle = next((rekeyed.folder / "tile" / "entries").glob("*.p/11"))
    forged = rekey.fields(ORIGIN, KEYS[0], KEYS[2])
    data = bundle.read_bytes()
    for name, value in rekey.fields(ORIGIN, KEYS[0], KEYS[1]).items():
        data = data.replace(value.encode(), forged[name].encode())
    bundle.write_bytes(data)
    head = unverified(rekeyed.note())
    (rekeyed.folder / "checkpoint").write_bytes(sign(head, KEYS[2]).encode())
    with pytest.raises(IntegrityError):
        verify_folder(rekeyed.folder, VKEYS[0])


@pytest.mark.parametrize("published", [False, True])
def test_a_process_with_the_old_key_publishes_nothing(rekeyed: Rekeyed, published: bool) -> None:
    late = Publisher(rekeyed.folder, ORIGIN, KEYS[0])
    rekeyed.replace(publish=published)
    before = rekeyed.note()
    rekeyed.log.add(3)
    with pytest.raises(Busy, match="replaced by another process"):
        late.publish(rekeyed.log.database)
    assert rekeyed.note() == before


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_change(data: bytes) -> None:
    assert rekey.read(0, data) is None or rekey.KIND.encode() in data


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5), st.lists, max_leaves=5
)
_FIELDS = ("old_key", "new_key", "old_signature", "new_signature")


@given(st.dictionaries(st.sampled_from(_FIELDS), st.sampled_from(VKEYS) | st.just("00" * 64) | _JSON))
def test_malformed_changes_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="not both keys signed"):
        rekey.read(7, rfc8785.dumps({**fields, "kind": rekey.KIND}))


def test_the_entry_is_public_as_a_whole(rekeyed: Rekeyed) -> None:
    rekeyed.replace()
    data = next((rekeyed.folder / "tile" / "entries").glob("*.p/11")).read_bytes()
    entry = json.loads(data[data.rindex(b'{"by"') :])
    assert {*_FIELDS, "by", "kind", "time"} == set(entry)
