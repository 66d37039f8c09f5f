"""Settings of one deployment: `passersby.toml`, read once, checked whole, never changed by code.

No setting, parameter or environment variable reaches the noise, its scale or a seed.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from passersby.errors import BadRecord, NotADeployment
from passersby.model.period import parse_offset

FILE = "passersby.toml"


@dataclass(frozen=True)
class Config:
    """Settings with their defaults. Times are in the unit that the name ends with.

    Raises:
        BadRecord: a value is out of its bounds; the message names the setting.
    """

    name: str = "passersby"
    """Public name of the deployment; the log's origin is derived from it."""
    utc_offset: str = "+00:00"
    """The one fixed offset of days, weeks and hours; cannot change once data is in."""
    database: str = ""
    """SQLAlchemy URL of the control database; empty: SQLite inside the deployment."""
    threads: int = 0
    """Threads of engine and ingest; 0: all cores."""
    memory_mb: int = 2048
    """Memory limit of the query engine and of an ingest's buffers."""
    buckets: int = 16
    """Device buckets a day; part of the layout, cannot change once data is in."""
    epsilon_cap: float = 4.0
    """Cap for one device and week over all questions and licensees, at `delta`; can only be lowered."""
    epsilon_question: float = 1.0
    """Most that one question may cost."""
    delta: float = 1e-7
    """The delta at which epsilons are stated and caps are converted; can only be lowered."""
    revision_percent: int = 25
    """Part of the cap that is kept for scheduled revisions."""
    closing_hours: int = 72
    """A period can be asked this long after it ended: 72 or more."""
    finest_resolution: int = 7
    """Finest H3 resolution that a licence may ask for."""
    minimum_devices: int = 20
    """Floor below which a cell is suppressed, whatever its precision."""
    epoch_weeks: int = 26
    """Weeks that one pseudonym key covers; cannot change once data is in."""
    raw_days: int = 30
    """Raw pings are deleted this long after their delivery, unless the contract says earlier."""
    derived_days: int = 90
    """Unit-level derived rows are deleted this long after their sources' delivery."""
    sensitive_buffer_m: int = 100
    """Least distance that pings keep from a sensitive place; a ping's own accuracy is added."""
    witnesses: tuple[str, ...] = ()
    """Outside witnesses of the log, each as "VERIFIERKEY URL"; each change is an entry of the log."""
    witness_quorum: int = 0
    """How many of the witnesses must sign; without a quorum no court's order is fulfilled, demos excepted."""
    pkcs11_module: str = ""
    """Library of the PKCS#11 token that may keep the key-encryption key, such as libsofthsm2.so."""
    pkcs11_token: str = ""
    """Label of that token, as its own tool shows it."""
    pkcs11_pin_file: str = ""
    """File with its user PIN, mode 0600; empty: the environment variable PASSERSBY_PKCS11_PIN."""
    vault_url: str = ""
    """Address of the HashiCorp Vault that may keep the key-encryption key; https, except on this machine."""
    vault_mount: str = "transit"
    """Path of its transit secrets engine."""
    vault_token_file: str = ""
    """File with Vault's token, mode 0600; empty: the environment variable VAULT_TOKEN."""
    order_devices: int = 5
    """Most devices that one court order may name; can only be lowered."""
    order_days: int = 31
    """Longest window of one court order, days; can only be lowered."""
    review_percent: int = 5
    """How many of 100 answered questions an overseer reviews, drawn at random; 0 is told in `status`."""
    review_days: int = 14
    """Days that a review may take; then its licence gives no answer until it is done."""
    alert_refusals: int = 20
    """Refusals of one account in a day (UTC) that raise an alert."""

    def __post_init__(self) -> None:
        parse_offset(self.utc_offset)
        bounds: tuple[tuple[str, float, float], ...] = (
            ("threads", 0, 1024),
            ("memory_mb", 256, 1 << 24),
            ("buckets", 1, 4096),
            ("epsilon_cap", 1e-3, 20),
            ("epsilon_question", 1e-3, self.epsilon_cap),
            ("delta", 1e-12, 1e-6),
            ("revision_percent", 0, 90),
            ("closing_hours", 72, 24 * 90),
            ("finest_resolution", 4, 8),
            ("minimum_devices", 10, 1_000_000),
            ("epoch_weeks", 1, 52),
            ("raw_days", 1, 365),
            ("derived_days", 1, 730),
            ("sensitive_buffer_m", 25, 2000),
            ("witness_quorum", 0, len(self.witnesses)),
            ("order_devices", 1, 5),
            ("order_days", 1, 31),
            ("review_percent", 0, 100),
            ("review_days", 1, 90),
            ("alert_refusals", 1, 100_000),
        )
        for name, low, high in bounds:
            if not low <= getattr(self, name) <= high:
                msg = f"{FILE}: `{name}` must lie between {low:g} and {high:g}."
                raise BadRecord(msg, "Correct the file and run the command again.")

    @property
    def offset(self) -> int:
        """Seconds east of UTC."""
        return parse_offset(self.utc_offset)


def read(root: Path) -> Config:
    """Return the settings of the deployment at `root`.

    Raises:
        NotADeployment: there is no settings file.
        BadRecord: it is not valid TOML, names an unknown setting, or a value has the wrong type.
    """
    try:
        text = (root / FILE).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadRecord(f"{FILE} is not UTF-8.", "Correct the file and run the command again.") from None
    except (FileNotFoundError, NotADirectoryError):
        msg = f"There is no deployment at {root}."
        raise NotADeployment(msg, f"Make one with `passersby init {root}`.") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{FILE} is not valid TOML: {error}."
        raise BadRecord(msg, "Correct the file and run the command again.") from None
    return from_values(values)


def from_values(values: dict[str, Any]) -> Config:
    """Return settings from parsed values, checked by name and type.

    Raises:
        BadRecord: a name is unknown or a value has the wrong type or is out of bounds.
    """
    known = {field.name: type(field.default) for field in fields(Config)}
    for name, value in values.items():
        if name not in known:
            msg = f"{FILE}: there is no setting `{name}`."
            raise BadRecord(msg, f"Known settings: {', '.join(known)}.")
        number = known[name] is float and type(value) is int
        texts = known[name] is tuple and _are_texts(value)
        if type(value) is not known[name] and not number and not texts:
            kind = "list of texts" if known[name] is tuple else known[name].__name__
            msg = f"{FILE}: `{name}` must be a {kind}."
            raise BadRecord(msg, "Correct the file and run the command again.")
    lists = {name: tuple(value) for name, value in values.items() if known[name] is tuple}
    return Config(**{**values, **lists})


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
