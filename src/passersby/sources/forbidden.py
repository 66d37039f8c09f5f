"""Columns that are dropped whatever a schema says: they name, contact or fingerprint a person.

A column is judged by the words of its name, never by its values. Nested columns are judged by their
last part (`payload.device.ip` by `ip`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PATTERNS = {
    "IP address": r"ip|ipv4|ipv6|ip_?(address|addr)|.*_(ip|ipv4|ipv6)|(ip|ipv4|ipv6)_.*|(client|remote)_?ip",
    "user agent": r"ua|user_?agent|.*_user_agent|http_user_agent",
    "Wi-Fi": r"(.*_)?(wi_?fi|ssid|bssid)(_.*)?|wifi(ssid|bssid|mac)|(wifi_)?mac(_address)?|macaddress",
    "carrier": r"(.*_)?(carrier|mcc|mnc|mccmnc|mobile_?operator|network_?operator)(_.*)?",
    "phone number": r"(.*_)?(msisdn|phone_?(number|no|num)?|mobile_?(number|no)|telephone|tel|cell_?number)",
    "SIM or hardware number": r"(.*_)?(imei|imsi|iccid|meid|serial_?(number|no))",
    "name": r"name|(first|last|full|given|family|middle|user|person|customer|device|owner)_?name|surname",
    "e-mail": r"(.*_)?(e_?mail|hem)(_.*)?|(.*_)?email(address|hash)?",
    "device language": r"(.*_)?(language|lang|locale)",
    "country": r"(.*_)?country(_?code|_?name|_iso.*)?",
}
_COMPILED = {label: re.compile(pattern) for label, pattern in _PATTERNS.items()}


def reason(column: str) -> str | None:
    """Return why a column is forbidden ("IP address", "Wi-Fi", ...), or None."""
    last = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", column.rsplit(".", 1)[-1])
    words = re.sub(r"[^a-z0-9]+", "_", last.lower()).strip("_")
    found = (label for label, pattern in _COMPILED.items() if pattern.fullmatch(words))
    return next(found, None)


def forbidden(columns: Iterable[str]) -> tuple[str, ...]:
    """Return those of `columns` that are forbidden, in their order."""
    return tuple(column for column in columns if reason(column))


def labels() -> tuple[str, ...]:
    """Return what is forbidden, in words, for the reference."""
    return tuple(_PATTERNS)
