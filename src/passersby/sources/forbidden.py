"""Columns that are dropped whatever a schema says: they name, contact or fingerprint a person.

A column is judged by the words of its name, never by its values. Nested columns are judged by their
last part (`payload.device.ip` by `ip`), and by all parts as one name (`user.phone.number`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_HASH = r"(_?(hash(ed)?|md5|sha_?\d*|e_?164|raw|\d+))*"
"""What a hashed or numbered column adds to its name: it names the same person."""

_PATTERNS = {
    "IP address": r"(.*_)?(ip|ipv?[46]|(ip|ipv[46])_?(address|addr))(_.*)?|(client|remote)_?(ip|addr(ess)?)",
    "user agent": r"ua|(.*_)?(user_?agent|device_ua|http_ua)(_.*)?|ua_.*",
    "Wi-Fi": r"(.*_)?(wi_?fi|ssid|bssid)(_.*)?|wifi(ssid|bssid|mac)|(.*_)?mac(_?addr(ess)?)?" + _HASH,
    "carrier": r"(.*_)?(carrier|mcc|mnc|mccmnc|mobile_?operator|network_?operator)(_.*)?",
    "phone number": r".*ms_?isdn.*|(.*_)?(mdn|tel|telephone|(mobile|cell)?phones?)" + _HASH + "|"
    r"(.*_)?(phone|mobile|cell|gsm|tel|telephone|mobilephone|cellphone)_?(numbers?|no|num)" + _HASH,
    "SIM or hardware number": r"(.*_)?(imei|imsi|iccid|meid)(_.*|\d+)?"
    r"|(.*_)?(serial|sim)_?(number|no)|(.*_)?sim_?serial(_.*)?",
    "name": r"name|(first|last|full|given|family|middle|user|person|customer|device|owner)_?name|surname"
    r"|name_(first|last|full|given|family|middle)",
    "e-mail": r"(.*_)?(e_?mail|mail|hem)(_.*)?|(.*_)?email(address|hash)?",
    "device language": r"(.*_)?(languages?|lang|locale)(_.*)?",
    "country": r"(.*_)?country(code|name|_.*)?",
}
_COMPILED = {label: re.compile(pattern) for label, pattern in _PATTERNS.items()}


def reason(column: str) -> str | None:
    """Return why a column is forbidden ("IP address", "Wi-Fi", ...), or None."""
    names = {_words(column), _words(column.rsplit(".", 1)[-1])}
    found = (label for label, pattern in _COMPILED.items() if any(map(pattern.fullmatch, names)))
    return next(found, None)


def _words(name: str) -> str:
    """Return the words of a name in lower case, with underscores between them."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")


def forbidden(columns: Iterable[str]) -> tuple[str, ...]:
    """Return those of `columns` that are forbidden, in their order."""
    return tuple(column for column in columns if reason(column))


def labels() -> tuple[str, ...]:
    """Return what is forbidden, in words, for the reference."""
    return tuple(_PATTERNS)
