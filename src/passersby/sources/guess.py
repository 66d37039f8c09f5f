"""Guesses what each column of an unknown file is, from its name and from the look of its values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from passersby.sources import forbidden
from passersby.sources.sample import Sample
from passersby.sources.times import EARLIEST, PER_SECOND

_LATEST = 4_102_444_800
"""2100-01-01: times of a sample are judged without a clock."""
_MERCATOR_M = 20_048_966.2

_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?")
_ISO = re.compile(r"\d{4}-\d\d-\d\d[ Tt]\d\d:\d\d(:\d\d([.,]\d+)?)? ?(Z|z|UTC|[+-]\d\d(:?\d\d)?)?")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")
_SUFFIXED = re.compile(r"\d+([.,]\d+)? ?°? ?[NSEWnsew]")
_FLAG = re.compile(r"\d|[A-Za-z][A-Za-z_ -]{0,19}")
_ID_TYPES = {"idfa", "aaid", "gaid", "adid", "idfv"}

_NAMES = {
    "id": r"(?P<best>.*(maid|ifa|aaid|idfa|gaid)|.*(device|advertis\w*|ad|user|vehicle)_?id(entifier)?"
    r"|uid|caid|.*identifier)|device|user|advertiser|.*track_?id|id",
    "time": r"(?P<best>.*(timestamp|datetime|unix_?ts|epoch).*|ts|utc_\w+|time)|.*(time|date)(_?ms)?|.*_at",
    "latitude": r"(?P<best>lat(itude)?|.*_lat(itude)?(_?e7)?|latitude_?e7|lat_?e7)|.*lat.*",
    "longitude": r"(?P<best>lon|lng|long|longitude|.*_(lon|lng|long|longitude)(_?e7)?"
    r"|(lon|lng|longitude)_?e7)|.*(lon|lng).*",
    "x": r"(?P<best>x|.*_x)",
    "y": r"(?P<best>y|.*_y)",
    "accuracy": r"(?P<best>ha|hacc|h_?accuracy|accuracy(_m)?|horizontal_?accuracy)|.*accuracy.*",
    "consent": r"(?P<best>consent(_?string)?|tcf(_?string)?|gpp(_?string)?)|.*consent.*",
    "opt_out": r"(?P<best>lmt|limit_?ad_?tracking|lat_?flag|opt_?out|att_?denied)|.*opt_?out.*",
    "id_type": r"(?P<best>(id|ifa|maid|device_id)_?type)",
    "utc_offset": r"(?P<best>(tz|utc|timezone|zone)_?offset)",
}
_COMPILED = {role: re.compile(pattern) for role, pattern in _NAMES.items()}


@dataclass(frozen=True)
class Look:
    """What a column's values look like; shares are of its values that are not empty."""

    texts: Sequence[str]
    numbers: Sequence[float]
    iso: float
    uuids: float
    suffixed: float
    commas: bool
    whole: bool

    @property
    def numeric(self) -> bool:
        """Nearly all values are numbers."""
        return bool(self.texts) and len(self.numbers) >= 0.9 * len(self.texts)

    def within(self, low: float, high: float) -> bool:
        """Tell whether nearly all values are numbers of that range."""
        inside = sum(low <= number <= high for number in self.numbers)
        return self.numeric and inside >= 0.9 * len(self.numbers)


@dataclass(frozen=True)
class Guess:
    """A column's likely role, and how sure that is: 0.9 name and values, 0.6 one of them, 0.3 a hunch."""

    role: str
    confidence: float


def look(values: Sequence[str]) -> Look:
    """Return what values look like."""
    texts = [value.strip() for value in values if value.strip()]
    count = max(1, len(texts))
    plain = [text for text in texts if _NUMBER.fullmatch(text)]
    return Look(
        texts=texts,
        numbers=[float(text.replace(",", ".")) for text in plain],
        iso=sum(bool(_ISO.fullmatch(text)) for text in texts) / count,
        uuids=sum(bool(_UUID.fullmatch(text)) for text in texts) / count,
        suffixed=sum(bool(_SUFFIXED.fullmatch(text)) for text in texts) / count,
        commas=any("," in text for text in plain)
        or any("," in text for text in texts if _SUFFIXED.fullmatch(text)),
        whole=all(text.lstrip("+-").isdigit() for text in plain),
    )


def time_unit(values: Look) -> str:
    """Return the unit that times are in, or ""."""
    if values.iso > 0.9:
        return "iso"
    for unit, per_second in PER_SECOND.items():
        if values.within(EARLIEST * per_second, _LATEST * per_second):
            return unit
    return ""


def is_naive(values: Look) -> bool:
    """Tell whether a value of ISO times has no offset."""
    return any(match and not match[3] for match in map(_ISO.fullmatch, values.texts))


def roles(found: Sample) -> tuple[dict[str, Guess], dict[str, Look]]:
    """Return the likely role of each column that has one, and the look of every column."""
    looks = {name: look(values) for name, values in found.values.items()}
    stamps = found.stamps or {}
    scored: list[tuple[float, int, str, str]] = []
    for place, (name, values) in enumerate(looks.items()):
        if forbidden.reason(name):
            continue
        for role in _NAMES:
            score = _score(role, name, values, stamp=name in stamps, header=found.header)
            if score:
                scored.append((-score, place, role, name))
    guesses: dict[str, Guess] = {}
    for score, _, role, name in sorted(scored):
        taken = {guess.role for guess in guesses.values()}
        if name not in guesses and role not in taken and not _clashes(role, taken):
            guesses[name] = Guess(role, round(min(-score, 0.9), 1))
    return guesses, looks


def _clashes(role: str, taken: set[str]) -> bool:
    """A file has degrees or projected coordinates."""
    degrees, projected = {"latitude", "longitude"}, {"x", "y"}
    return bool((role in degrees and taken & projected) or (role in projected and taken & degrees))


def _score(role: str, name: str, values: Look, *, stamp: bool, header: bool) -> float:
    """Return how well a column fits a role; 0 where name or values speak against it."""
    fits = stamp if role == "time" and stamp else _fits(role, values)
    if not fits:
        return 0.0
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name.rsplit(".", 1)[-1]).lower()
    match = _COMPILED[role].fullmatch(words)
    if match:
        return 0.92 if match["best"] else 0.8
    if header and role in {"accuracy", "consent", "opt_out", "x", "y", "utc_offset"}:
        return 0.0
    return _by_values(role, values)


def _fits(role: str, values: Look) -> bool:
    """Tell whether values can be of a role."""
    scaled = values.whole and values.within(-1.8e9, 1.8e9)
    tests: Mapping[str, bool] = {
        "id": bool(values.texts) and values.iso < 0.5 and (values.whole or not values.numeric),
        "time": bool(time_unit(values)),
        "latitude": values.within(-90, 90) or values.suffixed > 0.9 or scaled,
        "longitude": values.within(-180, 180) or values.suffixed > 0.9 or scaled,
        "x": values.within(-_MERCATOR_M, _MERCATOR_M),
        "y": values.within(-_MERCATOR_M, _MERCATOR_M),
        "accuracy": values.within(0, 100_000),
        # a proposal shows these values: nothing that may be an id or a number of something
        "opt_out": 0 < len(set(values.texts)) <= 4 and all(map(_FLAG.fullmatch, values.texts)),
        "id_type": bool(values.texts) and {text.lower() for text in values.texts} <= _ID_TYPES,
        "utc_offset": values.whole and values.within(-50_400, 50_400),
    }
    return tests.get(role, True)


def _by_values(role: str, values: Look) -> float:
    """Return the score of a column whose name says nothing."""
    fractional = values.numeric and not values.whole
    scores = {
        "id": 0.6 * (values.uuids > 0.9),
        "time": 0.6 * bool(time_unit(values)),
        "latitude": 0.35 * ((fractional and values.within(-90, 90)) or values.suffixed > 0.9),
        "longitude": 0.34 * ((fractional and values.within(-180, 180)) or values.suffixed > 0.9),
        "accuracy": 0.3 * (values.numeric and values.within(0, 10_000)),
        "id_type": 0.6,
    }
    return scores.get(role, 0.0)
