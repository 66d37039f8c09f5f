"""The keepers that there are, by the names that commands know them under."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from passersby.config import Config
from passersby.keys.file_keeper import FileKeeper
from passersby.keys.keeper import Keeper
from passersby.keys.pkcs11_keeper import Pkcs11Keeper
from passersby.keys.vault_keeper import VaultKeeper


def keepers(config: Config, folder: Path) -> Mapping[str, Keeper]:
    """Return name -> keeper of a deployment. None of them is reached before it is used.

    Args:
        config: the deployment's settings.
        folder: its folder; key files lie in `keys` there.
    """
    return MappingProxyType(
        {
            "file": FileKeeper(folder / "keys"),
            "pkcs11": Pkcs11Keeper(config, folder),
            "vault": VaultKeeper(config, folder),
        }
    )
