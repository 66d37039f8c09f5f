"""Every keeper keeps the same promises: made once, bound to its purpose, destroyed, clear when it is away."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from keys import tokens
from passersby.config import Config
from passersby.errors import IntegrityError, KeeperAway, UsageError
from passersby.keys.keeper import Keeper, named, probe
from passersby.keys.keepers import keepers


@pytest.fixture
def vault() -> Iterator[tokens.Vault]:
    with tokens.simulated_vault() as made:
        yield made


@pytest.fixture
def softhsm(tmp_path: Path) -> Iterator[tokens.SoftHSM]:
    with tokens.softhsm(tmp_path / "hsm") as made:
        made.add("crowd")
        yield made


def _make(request: pytest.FixtureRequest, name: str, folder: Path) -> Keeper:
    values: dict[str, Any] = {}
    if name == "pkcs11":
        values = request.getfixturevalue("softhsm").settings("crowd")
    elif name == "vault":
        values = request.getfixturevalue("vault").settings()
    (folder / "keys").mkdir(exist_ok=True)
    return named(keepers(Config(**values), folder), name)


@pytest.fixture(params=["file", "pkcs11", "vault"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> Keeper:
    return _make(request, request.param, tmp_path)


def test_a_secret_comes_back_for_its_purpose_only(keeper: Keeper) -> None:
    keeper.create("kek-1")
    wrapper = keeper.wrapper("kek-1")
    blob = wrapper.wrap(b"s" * 32, "epoch:1:a")
    assert wrapper.unwrap(blob, "epoch:1:a") == b"s" * 32
    assert b"s" * 8 not in blob
    for bad, purpose in ((blob, "epoch:2:a"), (blob[:-1], "epoch:1:a"), (b"x" * 60, "epoch:1:a"), (b"", "p")):
        with pytest.raises(IntegrityError):
            wrapper.unwrap(bad, purpose)


def test_a_changed_byte_is_found(keeper: Keeper) -> None:
    keeper.create("kek-1")
    wrapper = keeper.wrapper("kek-1")
    blob = wrapper.wrap(b"s" * 32, "p")
    for at in range(0, len(blob), 7):
        changed = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        with pytest.raises(IntegrityError):
            wrapper.unwrap(changed, "p")


def test_another_kek_does_not_open_it(keeper: Keeper) -> None:
    keeper.create("kek-1")
    keeper.create("kek-2")
    blob = keeper.wrapper("kek-1").wrap(b"s" * 32, "p")
    with pytest.raises(IntegrityError, match="does not open"):
        keeper.wrapper("kek-2").unwrap(blob, "p")


def test_making_again_keeps_what_is_there(keeper: Keeper) -> None:
    keeper.create("kek-1")
    blob = keeper.wrapper("kek-1").wrap(b"s" * 32, "p")
    keeper.create("kek-1")
    assert keeper.wrapper("kek-1").unwrap(blob, "p") == b"s" * 32


def test_a_destroyed_kek_opens_nothing_and_is_not_made_anew(keeper: Keeper) -> None:
    keeper.create("kek-1")
    blob = keeper.wrapper("kek-1").wrap(b"s" * 32, "p")
    keeper.destroy("kek-1")
    keeper.destroy("kek-1")
    uses: list[Callable[[], bytes]] = [
        lambda: keeper.wrapper("kek-1").wrap(b"s", "p"),
        lambda: keeper.wrapper("kek-1").unwrap(blob, "p"),
    ]
    for use in uses:
        with pytest.raises(IntegrityError, match="not there any more") as caught:
            use()
        assert "keys recover" in caught.value.next_step
    keeper.create("kek-1")
    with pytest.raises(IntegrityError, match="does not open"):
        keeper.wrapper("kek-1").unwrap(blob, "p")


def test_a_keeper_is_tried(keeper: Keeper) -> None:
    keeper.create("kek-1")
    probe(keeper, "kek-1")
    with pytest.raises(IntegrityError):
        probe(keeper, "kek-2")


def test_there_is_no_other_keeper(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no keeper") as caught:
        named(keepers(Config(), tmp_path), "cloud")
    assert "file, pkcs11, vault" in caught.value.next_step


def _says(keeper: Keeper, match: str) -> str:
    """Return the next step of the error that every use of the keeper ends with."""
    steps: set[str] = set()
    uses: list[Callable[[], object]] = [
        lambda: keeper.create("k"),
        lambda: keeper.destroy("k"),
        lambda: keeper.wrapper("k").wrap(b"s", "p"),
        lambda: keeper.wrapper("k").unwrap(b"s" * 60, "p"),
    ]
    for use in uses:
        with pytest.raises(KeeperAway, match=match) as caught:
            use()
        steps.add(caught.value.next_step)
    (step,) = steps
    return step


class TestToken:
    """What is particular to a PKCS#11 token."""

    @pytest.fixture
    def keeper(self, request: pytest.FixtureRequest, tmp_path: Path) -> Keeper:
        return _make(request, "pkcs11", tmp_path)

    def test_the_key_cannot_leave_it(self, keeper: Keeper, softhsm: tokens.SoftHSM) -> None:
        import pkcs11  # noqa: PLC0415 (an extra that may be missing)

        keeper.create("kek-1")
        token = next(pkcs11.lib(softhsm.module).get_tokens(token_label="crowd"))  # noqa: S106 (a name)
        with token.open(user_pin=tokens.PIN) as session:
            (key,) = session.get_objects({pkcs11.Attribute.LABEL: "kek-1"})
            with pytest.raises(pkcs11.AttributeSensitive):
                _ = key[pkcs11.Attribute.VALUE]
            assert key[pkcs11.Attribute.NEVER_EXTRACTABLE]
            assert key[pkcs11.Attribute.ALWAYS_SENSITIVE]
            assert not key[pkcs11.Attribute.WRAP]

    def test_a_token_that_is_away(self, keeper: Keeper, softhsm: tokens.SoftHSM) -> None:
        keeper.create("kek-1")
        blob = keeper.wrapper("kek-1").wrap(b"s" * 32, "p")
        softhsm.hide()
        assert "Connect it" in _says(keeper, "token crowd is not there")
        softhsm.show()
        assert keeper.wrapper("kek-1").unwrap(blob, "p") == b"s" * 32

    def test_a_wrong_pin(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PASSERSBY_PKCS11_PIN", "9999")
        assert "locks itself" in _says(keeper, "does not take the PIN")

    def test_no_pin(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PASSERSBY_PKCS11_PIN")
        assert "PASSERSBY_PKCS11_PIN" in _says(keeper, "no PIN")

    def test_a_pin_file(
        self, softhsm: tokens.SoftHSM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PASSERSBY_PKCS11_PIN")
        config = Config(**softhsm.settings("crowd"), pkcs11_pin_file="pin")
        keeper = keepers(config, tmp_path)["pkcs11"]
        assert "pkcs11_pin_file" in _says(keeper, "PIN file .* cannot be read")
        (tmp_path / "pin").write_text("1234\n")
        (tmp_path / "pin").chmod(0o644)
        with pytest.raises(IntegrityError, match="other accounts"):
            keeper.create("kek-1")
        (tmp_path / "pin").chmod(0o600)
        keeper.create("kek-1")
        probe(keeper, "kek-1")

    def test_another_library(self, softhsm: tokens.SoftHSM, tmp_path: Path) -> None:
        config = Config(**{**softhsm.settings("crowd"), "pkcs11_module": str(tmp_path / "none.so")})
        assert "pkcs11_module" in _says(keepers(config, tmp_path)["pkcs11"], "does not answer")

    def test_settings_that_are_missing(self, softhsm: tokens.SoftHSM, tmp_path: Path) -> None:
        config = Config(**softhsm.settings("crowd"))
        for name in ("pkcs11_module", "pkcs11_token"):
            bare = dataclasses.replace(config, **cast("dict[str, Any]", {name: ""}))
            assert name in _says(keepers(bare, tmp_path)["pkcs11"], "does not say")

    def test_without_the_library(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pkcs11", None)
        assert "passersby[pkcs11]" in _says(keeper, "python-pkcs11")


class TestVault:
    """What is particular to Vault, on the simulation of its HTTP interface."""

    @pytest.fixture
    def keeper(self, request: pytest.FixtureRequest, tmp_path: Path) -> Keeper:
        return _make(request, "vault", tmp_path)

    def test_it_is_asked_as_documented(self, keeper: Keeper, vault: tokens.Vault) -> None:
        keeper.create("kek-1")
        keeper.wrapper("kek-1").unwrap(keeper.wrapper("kek-1").wrap(b"s", "p"), "p")
        keeper.destroy("kek-1")
        assert vault.asked == [
            "POST /v1/transit/keys/kek-1",
            "GET /v1/transit/keys/kek-1",
            "POST /v1/transit/encrypt/kek-1",
            "POST /v1/transit/decrypt/kek-1",
            "GET /v1/transit/keys/kek-1",
            "POST /v1/transit/keys/kek-1/config",
            "DELETE /v1/transit/keys/kek-1",
        ]
        assert vault.keys == {}

    def test_one_that_is_sealed(self, keeper: Keeper, vault: tokens.Vault) -> None:
        vault.sealed = True
        assert "Unseal" in _says(keeper, "sealed")

    def test_a_token_without_rights(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VAULT_TOKEN", "s.other")
        step = _says(keeper, "does not let this token")
        assert "policy" in step
        assert "s.other" not in step

    def test_one_that_does_not_answer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VAULT_TOKEN", "s.test")
        keeper = keepers(Config(vault_url="http://127.0.0.1:9"), tmp_path)["vault"]
        assert "vault_url" in _says(keeper, "does not answer")

    def test_no_engine_at_the_path(self, vault: tokens.Vault, tmp_path: Path) -> None:
        config = Config(**vault.settings(), vault_mount="elsewhere")
        assert "vault_mount" in _says(keepers(config, tmp_path)["vault"], "no transit engine")

    def test_an_open_connection_is_refused(self, tmp_path: Path) -> None:
        for url in ("http://vault.example.org:8200", "vault.example.org"):
            assert "https" in _says(keepers(Config(vault_url=url), tmp_path)["vault"], "open connection")

    def test_one_that_leaves_out_associated_data(self, keeper: Keeper, vault: tokens.Vault) -> None:
        """As Vault before 1.13 does with a parameter that it does not know."""
        vault.ignores_associated_data = True
        keeper.create("kek-1")
        with pytest.raises(IntegrityError, match="opens for another"):
            probe(keeper, "kek-1")

    def test_without_the_library(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "hvac", None)
        assert "passersby[vault]" in _says(keeper, "hvac")
