"""A log with witnesses whose key is replaced: readers follow both, and a witness follows when it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import loopback
from passersby.errors import IntegrityError
from passersby.trustlog.checkpoint import VerifierKey, sign, unverified, verified
from passersby.trustlog.cosignature import cosign, cosigned
from passersby.trustlog.cosigning import PROBLEMS, Cosigning, Outside
from passersby.trustlog.entries import stored
from passersby.trustlog.export import export
from passersby.trustlog.heads import WITNESSED
from passersby.trustlog.proofs import consistency
from passersby.trustlog.publish import Publisher
from passersby.trustlog.receipts import prove, verify_proof
from passersby.trustlog.request import AddCheckpoint
from passersby.trustlog.sources import Disk, Web
from passersby.trustlog.tiles import Tiles
from passersby.trustlog.verify import check_continued, verify_folder, verify_source
from passersby.trustlog.web import Site
from passersby.witness.memory import Memory
from passersby.witness.witness import Witness
from trustlog.rekeyed import KEYS, ORIGIN, VKEYS, Rekeyed
from trustlog.witnessed import BOTH, NAMES, NOW, PRIVATE, cosign_published, make_witness


def publisher(rekeyed: Rekeyed) -> Publisher:
    return Publisher(rekeyed.folder, ORIGIN, KEYS[rekeyed.now], quorum=BOTH)


def test_a_head_that_witnesses_signed_at_the_change(rekeyed: Rekeyed) -> None:
    rekeyed.replace()
    cosign_published(rekeyed.log, *NAMES)
    for grown in (0, 5):
        rekeyed.log.grown(grown)
        for vkey in VKEYS[:2]:
            report = verify_folder(rekeyed.folder, vkey, older=rekeyed.saved[0], quorum=BOTH)
            assert (report.size, report.witnessed and report.witnessed.size) == (11 + grown, 11)
            assert [change.index for change in report.rekeyed] == [10]
        assert publisher(rekeyed).standing().whole is (grown == 0)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_witnesses_signed_before_the_change(rekeyed: Rekeyed, times: int, tmp_path: Path) -> None:
    """The head that carries the quorum is signed by a key that was replaced since; so is an earlier copy."""
    cosign_published(rekeyed.log, *NAMES)
    copy = tmp_path / "copy"
    export(rekeyed.folder, copy, VKEYS[0])
    for _ in range(times):
        rekeyed.log.grown(260)
        rekeyed.replace()
    rekeyed.log.grown(5)
    with pytest.raises(IntegrityError, match="no signature"):
        verified((rekeyed.folder / WITNESSED).read_bytes(), VKEYS[times])
    standing = publisher(rekeyed).standing()
    assert standing.witnessed is not None
    assert (standing.size, standing.witnessed.size) == (15 + 261 * times, 10)
    export(rekeyed.folder, copy, VKEYS[times])
    with loopback.static(copy) as url:
        for source in (Disk(rekeyed.folder), Disk(copy), Web(url)):
            for vkey in VKEYS[: times + 1]:
                report = verify_source(source, vkey, older=rekeyed.saved[0], quorum=BOTH)
                assert report.witnessed == standing.witnessed
                assert len(report.rekeyed) == times


def test_witnesses_lend_a_replaced_key_nothing(rekeyed: Rekeyed) -> None:
    """A thief of the old key has witnesses sign what they have not been told is no log any more."""
    rekeyed.replace()
    rekeyed.log.grown(5)
    stolen = sign(unverified(rekeyed.note()), KEYS[0]).encode()
    signed = stolen + b"".join(cosign(stolen, name, PRIVATE[name], now=NOW).encode() for name in NAMES)
    (rekeyed.folder / WITNESSED).write_bytes(signed)
    for vkey in VKEYS[:2]:
        with pytest.raises(IntegrityError, match="replaced in entry 10, which it covers"):
            verify_folder(rekeyed.folder, vkey, quorum=BOTH)
    with pytest.raises(IntegrityError, match=r"no signature|replaced in entry 10"):
        publisher(rekeyed).standing()


def ask(witness: Witness, rekeyed: Rekeyed, old: int) -> int:
    """Ask a witness to sign the published checkpoint; return the status of its answer."""
    note = rekeyed.note()
    tiles = Tiles(Disk(rekeyed.folder), unverified(note).size)
    body = AddCheckpoint(old, tuple(consistency(tiles, old, tiles.size)), note).encode()
    reply = witness.add_checkpoint(body, now=NOW)
    if reply.status == 200:
        assert cosigned(note + reply.body, [witness.vkey]) == {witness.vkey: NOW}
    return reply.status


def test_a_witness_follows_once_it_is_told_the_new_key(rekeyed: Rekeyed, tmp_path: Path) -> None:
    witness = make_witness(tmp_path, NAMES[0])
    assert ask(witness, rekeyed, 0) == 200
    rekeyed.replace()
    assert ask(witness, rekeyed, 10) == 200  # both keys signed the checkpoint at the change
    rekeyed.log.grown(5)
    assert ask(witness, rekeyed, 11) == 403
    memory = Memory(next(tmp_path.glob("*.db")))
    told = Witness(NAMES[0], PRIVATE[NAMES[0]], [VerifierKey.of(ORIGIN, KEYS[1])], memory)
    assert ask(told, rekeyed, 10) == 409
    assert ask(told, rekeyed, 11) == 200


def test_the_operator_is_told_which_witness_lacks_the_key(rekeyed: Rekeyed, tmp_path: Path) -> None:
    rekeyed.replace()
    rekeyed.log.grown(5)
    witness = make_witness(tmp_path, NAMES[0])
    with loopback.serving(witness) as url:
        outside = [Outside(BOTH.witnesses[0], Site(url, wait_s=5))]
        cosigning = Cosigning(rekeyed.log.database, publisher(rekeyed), outside, demo=False)
        cosigning.ask(now=NOW)
        assert cosigning.problems() == {NAMES[0]: PROBLEMS["unknown"]}


def test_before_the_change_is_published_the_old_head_stands(rekeyed: Rekeyed) -> None:
    """A command was killed between the entry and its publishing."""
    cosign_published(rekeyed.log, *NAMES)
    rekeyed.replace(publish=False)
    both = Publisher(rekeyed.folder, ORIGIN, KEYS[1], KEYS[0], quorum=BOTH)
    assert both.standing().whole
    both.publish(rekeyed.log.database)
    assert (both.standing().size, publisher(rekeyed).standing().size) == (11, 11)


def test_what_was_shown_under_another_key_of_the_log(rekeyed: Rekeyed) -> None:
    """Together with the log, a proof is checked with any of its keys; alone, with that of its day."""
    early = prove(rekeyed.folder, 3)
    rekeyed.replace()
    rekeyed.log.grown(5)
    late = prove(rekeyed.folder, 3)
    with rekeyed.log.database.read() as session:
        entry = stored(session, 3, 4)[0]
    for proof, own, other in ((early, *VKEYS[:2]), (late, *reversed(VKEYS[:2]))):
        assert verify_proof(entry, proof, own).index == 3
        with pytest.raises(IntegrityError, match="no signature"):
            verify_proof(entry, proof, other)
        for vkey in (own, other):
            report = verify_folder(rekeyed.folder, vkey)
            proven = verify_proof(entry, proof, vkey, report.rekeyed)
            check_continued(Disk(rekeyed.folder), report, proven.checkpoint)
