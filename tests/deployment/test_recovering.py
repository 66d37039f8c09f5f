"""The key-encryption key is lost: shares bring every key back, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete

from deployment.keyed import Keyed, actor, now
from keys import tokens
from passersby.deployment import keeping, views
from passersby.deployment.opened import Deployment
from passersby.deployment.recovering import Recovered, closed
from passersby.errors import BadRecord, IntegrityError, KeeperAway, NotReady, Refusal, UsageError
from passersby.keys import shares
from passersby.store.keys_tables import RecoverySeal

pytestmark = pytest.mark.slow


def recover(
    keyed: Keyed, *, texts: list[str] | None = None, key: Path | None = None, to: str = ""
) -> Recovered:
    with closed(keyed.root) as house:
        return house.recover(texts or keyed.texts(), key or keyed.key, to=to, now=now())


@pytest.fixture
def lost(keyed: Keyed) -> Keyed:
    """Its key file is gone, and there are shares."""
    keyed.share()
    (keyed.root / "keys" / keyed.key_files()[0]).unlink()
    return keyed


def _replaced(keyed: Keyed) -> None:
    path = keyed.root / "keys" / "kek"
    path.write_bytes(bytes(32))
    path.chmod(0o600)


def _damaged(keyed: Keyed) -> None:
    _replaced(keyed)
    (keyed.root / "keys" / "kek").write_bytes(b"short")


@pytest.mark.parametrize(
    "how", [lambda _keyed: None, _replaced, _damaged], ids=["gone", "another", "damaged"]
)
def test_shares_bring_every_key_back(lost: Keyed, how: Callable[[Keyed], None]) -> None:
    how(lost)
    with pytest.raises(IntegrityError):
        Deployment.open(lost.root)
    status = lost.status()
    assert (status.answers and not status.unopened) is False
    found = recover(lost)
    assert (found.keys, found.lost) == (5, ())
    lost.check()
    with lost.open() as d:
        (entry,) = views.log_entries(d, last=100, kind="keys.recovered")
        assert (entry["keeper"], entry["by"]) == ("file", "custodian")
        assert keeping.try_shares(d, lost.texts(), actor(d), now=now()) == 5


def test_any_two_shares_do(lost: Keyed) -> None:
    recover(lost, texts=[shares.read(lost.papers[2]), shares.read(lost.papers[0])])
    lost.check()


def test_a_token_that_is_gone_gives_way_to_a_file(keyed: Keyed, tmp_path: Path) -> None:
    with tokens.softhsm(tmp_path / "hsm") as hsm:
        hsm.add("crowd")
        keyed.set(**hsm.settings("crowd"))
        keyed.share()
        with keyed.open() as d:
            keeping.move(d, "pkcs11", actor(d), now=now())
        hsm.hide()
        with pytest.raises(KeeperAway, match="not there"):
            recover(keyed)
        assert "passersby.toml" in keyed.status().problem
        recover(keyed, to="file")
        assert keyed.status().keeper == "file"
        with keyed.open() as d:
            checks = d.doctor(deep=False)
            assert all(check.ok for check in checks)
            assert [check for check in checks if "once its keeper answers" in check.what]
        hsm.show()
        with keyed.open() as d:
            d.kept.keepers["pkcs11"].destroy("none")  # the token is looked for again
            d.sweep(now())
        keyed.check()


def test_what_is_not_lost_is_not_recovered(keyed: Keyed) -> None:
    keyed.share()
    with pytest.raises(UsageError, match="nothing to recover"):
        recover(keyed)
    keyed.check()


def test_without_enough_shares(lost: Keyed) -> None:
    for texts in ([lost.texts()[0]], [lost.texts()[0]] * 2, shares.split(bytes(32), 2, 2)):
        with pytest.raises(BadRecord):
            recover(lost, texts=texts)
    assert lost.key_files() == []
    recover(lost)
    lost.check()


def test_only_a_custodian_recovers(lost: Keyed) -> None:
    with pytest.raises(Refusal):
        recover(lost, key=lost.root / "people" / "anna.key")
    recover(lost)
    lost.check()


def test_without_shares_there_is_no_way(keyed: Keyed) -> None:
    (keyed.root / "keys" / "kek").unlink()
    with pytest.raises(NotReady, match="no recovery shares"):
        recover(keyed, texts=shares.split(bytes(32), 2, 2))


@pytest.mark.parametrize("name", ["purpose:log", "epoch:111"])
def test_a_key_without_a_seal(lost: Keyed, name: str) -> None:
    """An epoch is lost with its key; without the log's key nothing goes on."""
    with closed(lost.root) as house, house.database.write() as session:
        session.execute(delete(RecoverySeal).where(RecoverySeal.name.startswith(name)))
    if name == "purpose:log":
        with pytest.raises(IntegrityError, match="not sealed"):
            recover(lost)
        return
    found = recover(lost)
    (epoch,) = found.lost
    assert lost.status().unopened == (epoch,)
    with lost.open() as d:
        keeping.give_up(d, epoch, actor(d), now=now())
        assert all(check.ok for check in d.doctor(deep=False))
