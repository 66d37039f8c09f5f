"""Keys are moved between keepers, rotated, shared, tried and given up; each whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from deployment.keyed import DESTROYED, Keyed, actor, make, now, secrets_of
from keys import tokens
from passersby.deployment import keeping, views
from passersby.deployment.opened import Deployment
from passersby.errors import (
    BadRecord,
    Busy,
    IntegrityError,
    KeeperAway,
    NotReady,
    Refusal,
    UnknownName,
    UsageError,
)
from passersby.keys import recovery, shares
from passersby.store.keys_tables import RecoverySeal
from passersby.store.tables import EpochKey
from passersby.trustlog.verify import verify_folder

pytestmark = pytest.mark.slow


def entries(d: Deployment, kind: str) -> list[dict[str, object]]:
    return [dict(entry) for entry in views.log_entries(d, last=1000, kind=kind)]


def blobs(root: Path) -> set[bytes]:
    with sqlite3.connect(root / "control.db") as raw:
        rows = raw.execute("SELECT wrapped FROM purpose_key UNION SELECT wrapped FROM epoch_key").fetchall()
    raw.close()
    return {row[0] for row in rows if row[0] is not None}


def test_rotation_wraps_every_key_anew(keyed: Keyed) -> None:
    before, (old_file,) = blobs(keyed.root), keyed.key_files()
    with keyed.open() as d:
        moved = keeping.rotate(d, actor(d), now=now())
        assert moved.before_destroyed
        (entry,) = entries(d, "keys.moved")
        assert (entry["keeper"], entry["before"], entry["by"]) == ("file", "file", "custodian")
        assert len(entries(d, "keys.destroyed")) == 1
        assert secrets_of(d) == keyed.secrets  # the process that did it goes on
    assert old_file not in keyed.key_files()
    assert not blobs(keyed.root) & before
    keyed.check()


@pytest.mark.slow
def test_the_whole_round_of_keepers(keyed: Keyed, tmp_path: Path) -> None:
    with tokens.softhsm(tmp_path / "hsm") as hsm, tokens.simulated_vault() as vault:
        hsm.add("crowd")
        keyed.set(**hsm.settings("crowd"), **vault.settings())
        for to in ("pkcs11", "pkcs11", "vault", "vault", "pkcs11", "file"):
            with keyed.open() as d:
                assert keeping.move(d, to, actor(d), now=now()).before_destroyed
            keyed.check()
            assert keyed.status().keeper == to
            assert len(vault.keys) == (to == "vault")


def test_a_keeper_that_is_away_changes_nothing(keyed: Keyed) -> None:
    before = blobs(keyed.root)
    with keyed.open() as d, pytest.raises(KeeperAway, match="which PKCS#11 library"):
        keeping.move(d, "pkcs11", actor(d), now=now())
    with keyed.open() as d, pytest.raises(UsageError, match="no keeper"):
        keeping.move(d, "cloud", actor(d), now=now())
    assert blobs(keyed.root) == before
    with keyed.open() as d:
        assert d.repaired == []
        assert entries(d, "keys.destroyed") == []
    with tokens.simulated_vault() as vault:
        keyed.set(**vault.settings())
        vault.ignores_associated_data = True
        with keyed.open() as d, pytest.raises(IntegrityError, match="another"):
            keeping.move(d, "vault", actor(d), now=now())
        with keyed.open() as d:
            assert [line for line in d.repaired if "not in use" in line]
        assert vault.keys == {}
    assert blobs(keyed.root) == before
    keyed.check()


def test_a_deployment_whose_keeper_is_away_says_so_and_loses_nothing(keyed: Keyed) -> None:
    with tokens.simulated_vault() as vault:
        keyed.set(**vault.settings())
        with keyed.open() as d:
            keeping.move(d, "vault", actor(d), now=now())
        vault.sealed = True
        with pytest.raises(KeeperAway, match="sealed"):
            Deployment.open(keyed.root)
        status = keyed.status()
        assert (status.keeper, status.answers, status.keys) == ("vault", False, 5)
        assert "Unseal it" in status.problem
        vault.sealed = False
        keyed.check()


def test_an_old_keeper_that_is_away_is_tidied_when_it_is_back(
    keyed: Keyed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tokens.simulated_vault() as vault:
        keyed.set(**vault.settings())
        with keyed.open() as d:
            keeping.move(d, "vault", actor(d), now=now())
            with monkeypatch.context() as patch:
                keeper = type(d.kept.keepers["vault"])
                patch.setattr(keeper, "destroy", lambda *_: (_ for _ in ()).throw(KeeperAway("away")))
                assert not keeping.move(d, "file", actor(d), now=now()).before_destroyed
        assert len(vault.keys) == 1
        (left,) = keyed.status().left_over
        assert "Vault" in left
        with keyed.open() as d:
            assert [line for line in d.repaired if "Vault" in line]
        assert vault.keys == {}
        keyed.check()


def test_only_a_custodian_changes_keys(keyed: Keyed, tmp_path: Path) -> None:
    before = blobs(keyed.root)
    with keyed.open() as d:
        anna = actor(d, "anna")
        to = {"anna": tmp_path / "a", "bruno": tmp_path / "b"}
        acts: list[Callable[[], object]] = [
            lambda: keeping.rotate(d, anna, now=now()),
            lambda: keeping.share(d, to, anna, needed=2, now=now()),
            lambda: keeping.replace_log_key(d, anna, now=now()),
        ]
        for act in acts:
            with pytest.raises(Refusal) as caught:
                act()
            assert caught.value.code == "role-missing"
    assert blobs(keyed.root) == before
    assert not (tmp_path / "a").exists()
    keyed.check()


def test_two_processes_do_not_change_keys_at_once(keyed: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passersby.keys.kept._WAIT_S", 0.1)
    with keyed.open() as one, keyed.open() as other, one.kept.changing():
        with pytest.raises(Busy, match="changing"):
            keeping.rotate(other, actor(other), now=now())
        assert other.sweep(now()) == []
    keyed.check()


def test_a_process_that_runs_on_follows_a_move(keyed: Keyed) -> None:
    with keyed.open() as late, keyed.open() as d:
        assert secrets_of(late) == keyed.secrets
        keeping.rotate(d, actor(d), now=now())
        assert secrets_of(late) == keyed.secrets
        with late.writing() as session:
            made = late.ring.epoch_key(session, 120, now=now())
    with keyed.open() as d:
        assert made.key in secrets_of(d).values()


def test_a_draft_that_was_cleared_away_is_not_put_into_use(keyed: Keyed) -> None:
    with keyed.open() as d:
        new = d.kept.draft("file", now=now())
        d.tidy_keys(now())
        with pytest.raises(Busy, match="cleared"), d.database.write() as session:
            d.kept.switch(session, new)
    keyed.check()


class TestShares:
    """Recovery shares, as long as nothing is lost."""

    def test_they_open_every_key(self, keyed: Keyed) -> None:
        keyed.share()
        with keyed.open() as d:
            assert keeping.try_shares(d, keyed.texts(), actor(d), now=now()) == 5
            assert len(entries(d, "keys.tested")) == 1
            (entry,) = entries(d, "keys.shared")
            assert (entry["shares"], entry["needed"]) == (3, 2)
            assert "anna" not in str(entry)
        keyed.check()

    def test_they_cover_keys_that_come_later_and_none_that_is_gone(self, keyed: Keyed) -> None:
        keyed.share()
        with keyed.open() as d:
            with d.writing() as session:
                d.ring.epoch_key(session, 120, now=now())
                d.ring.purpose(session, "withdrawals")
            assert keeping.try_shares(d, keyed.texts(), actor(d), now=now()) == 6
            keeping.rotate(d, actor(d), now=now())
            keeping.replace_log_key(d, actor(d), now=now())
            assert keeping.try_shares(d, keyed.texts(), actor(d), now=now()) == 6
            with d.writing() as session:
                d.ring.destroy(session, 120, now=now())
                names = set(session.scalars(select(RecoverySeal.name)))
        assert not [name for name in names if name.startswith(("epoch:120", f"epoch:{DESTROYED}"))]
        assert "purpose:log-leaving" not in names

    def test_new_ones_replace_them(self, keyed: Keyed) -> None:
        keyed.share()
        old = keyed.texts()
        for path in keyed.papers:
            path.unlink()
        keyed.share()
        with keyed.open() as d:
            with pytest.raises(BadRecord, match="another recovery key"):
                keeping.try_shares(d, old, actor(d), now=now())
            assert keeping.try_shares(d, keyed.texts(), actor(d), now=now()) == 5

    def test_a_seal_that_was_changed_is_found(self, keyed: Keyed) -> None:
        keyed.share()
        with keyed.open() as d:
            with d.database.write() as session:
                (one, two) = session.scalars(select(RecoverySeal).order_by(RecoverySeal.name).limit(2))
                one.sealed, two.sealed = two.sealed, one.sealed
            with pytest.raises(IntegrityError, match="does not open"):
                keeping.try_shares(d, keyed.texts(), actor(d), now=now())

    def test_a_seal_of_another_key_is_found(self, keyed: Keyed) -> None:
        keyed.share()
        with keyed.open() as d:
            with d.database.write() as session:
                recovery.forget(session, "purpose:consent")
                recovery.seal(session, "purpose:consent", bytes(32))
            with pytest.raises(IntegrityError, match="not what the recovery shares would restore"):
                keeping.try_shares(d, keyed.texts(), actor(d), now=now())

    def test_before_there_are_any(self, keyed: Keyed) -> None:
        texts = shares.split(bytes(32), 2, 2)
        with keyed.open() as d, pytest.raises(NotReady, match="no recovery shares"):
            keeping.try_shares(d, texts, actor(d), now=now())

    def test_holders_must_be_people(self, keyed: Keyed, tmp_path: Path) -> None:
        with keyed.open() as d:
            to = {"anna": tmp_path / "a", "nobody": tmp_path / "b"}
            with pytest.raises(UnknownName):
                keeping.share(d, to, actor(d), needed=2, now=now())
            with pytest.raises(UsageError):
                keeping.share(d, {"anna": tmp_path / "a"}, actor(d), needed=2, now=now())
        assert [path.name for path in tmp_path.iterdir()] == ["d"]

    def test_a_file_in_the_way_leaves_no_share(self, keyed: Keyed, tmp_path: Path) -> None:
        keyed.share()
        (tmp_path / "b").write_text("mine")
        to = {"anna": tmp_path / "a", "bruno": tmp_path / "b"}
        with keyed.open() as d, pytest.raises(UsageError, match="left alone"):
            keeping.share(d, to, actor(d), needed=2, now=now())
        assert not (tmp_path / "a").exists()
        with keyed.open() as d:
            assert keeping.try_shares(d, keyed.texts(), actor(d), now=now()) == 5


class TestLogKey:
    """The key that signs the log."""

    def test_every_earlier_key_leads_to_the_newest(self, keyed: Keyed) -> None:
        with keyed.open() as d:
            first = d.vkey
            kept = (d.layout.log / "checkpoint").read_bytes()
            vkeys = [first]
            for _ in range(2):
                old, new = keeping.replace_log_key(d, actor(d), now=now())
                assert old == vkeys[-1]
                vkeys.append(new)
            assert d.vkey == new
        for vkey in vkeys:
            assert len(verify_folder(keyed.root / "log", vkey, older=kept).rekeyed) == 2
        keyed.check(log_key_changes=True)

    def test_the_old_private_key_is_gone(self, keyed: Keyed) -> None:
        with keyed.open() as d:
            keeping.replace_log_key(d, actor(d), now=now())
            assert "purpose:log-leaving" not in secrets_of(d)
            assert keyed.secrets["purpose:log"] not in secrets_of(d).values()

    def test_another_process_does_not_sign_with_it(self, keyed: Keyed) -> None:
        with keyed.open() as late, keyed.open() as d:
            keeping.replace_log_key(d, actor(d), now=now())
            with pytest.raises(Busy, match="replaced by another"), late.writing() as session:
                late.ring.epoch_key(session, 120, now=now())
        with keyed.open() as d:
            assert d.verify_log().unpublished == 0


def damage(keyed: Keyed, epoch: int) -> str:
    """Change a wrapped epoch key; return its name."""
    with keyed.open() as d, d.database.write() as session:
        session.execute(update(EpochKey).where(EpochKey.epoch == epoch).values(wrapped=b"x" * 60))
        return session.scalars(select(EpochKey.id).where(EpochKey.epoch == epoch)).one()


def test_a_lost_epoch_key_is_named_and_given_up(keyed: Keyed) -> None:
    name = damage(keyed, 111)
    status = keyed.status()
    assert status.answers
    assert status.unopened == (name,)
    with keyed.open() as d:
        (bad,) = [check for check in d.doctor(deep=False) if not check.ok]
        assert "1 key(s) do not open" in bad.what
        done = keeping.give_up(d, name, actor(d), now=now())
        assert "gave up" in done[-1]
        (entry,) = entries(d, "epoch.lost")
        assert entry["key"] == name
        with pytest.raises(UsageError, match="destroyed already"):
            keeping.give_up(d, name, actor(d), now=now())
        with pytest.raises(Refusal), d.database.write() as session:
            d.ring.epoch_key(session, 111, now=now())
        assert all(check.ok for check in d.doctor(deep=False))


def test_a_key_that_opens_is_not_given_up(keyed: Keyed) -> None:
    with keyed.open() as d:
        with d.database.read() as session:
            name = session.scalars(select(EpochKey.id).where(EpochKey.epoch == 111)).one()
        with pytest.raises(UsageError, match="nothing is lost"):
            keeping.give_up(d, name, actor(d), now=now())
        with pytest.raises(UnknownName):
            keeping.give_up(d, "111-none", actor(d), now=now())
    keyed.check()


@pytest.mark.slow
def test_on_postgresql(tmp_path: Path, new_postgresql: Callable[[], str]) -> None:
    keyed = make(tmp_path / "d", new_postgresql())
    keyed.share()
    with keyed.open() as d:
        keeping.rotate(d, actor(d), now=now())
        keeping.replace_log_key(d, actor(d), now=now())
        assert keeping.try_shares(d, keyed.texts(), actor(d), now=now()) == 5
    keyed.check(log_key_changes=True)
    (keyed.root / "keys" / keyed.key_files()[0]).unlink()
    from passersby.deployment.recovering import closed  # noqa: PLC0415

    with closed(keyed.root) as house:
        assert house.recover(keyed.texts(), keyed.key, to="", now=now()).lost == ()
    keyed.check(log_key_changes=True)
