"""The fields of a consent record, what they mean, and what is no valid record (controls A3, A4, A6-A8).

Names are those of ISO/IEC TS 27560 or the short ones of this package; a field of the group `event` may stand
inside of it or beside it. What else a record has (record_id, pii_controllers, storage_locations, ...) is not
read: it stays in the supplier's file, whose hash is in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import polars as pl

from passersby.errors import BadRecord, WrongSchema
from passersby.model import banned

Normalise = Callable[[pl.Series], pl.Series]
"""Brings advertising ids to their normal form; null where an id is none."""

NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "id": ("id", "pii_principal_id"),
        "given_at": ("given_at", "event_time", "event.event_time"),
        "state": ("state", "event_state", "event.event_state"),
        "withdrawn_at": ("withdrawn_at",),
        "expires_at": ("expires_at",),
        "validity_duration": ("validity_duration", "event.validity_duration"),
        "notice_version": ("notice_version", "privacy_notice"),
        "notice_hash": ("notice_hash",),
        "language": ("language",),
        "purpose": ("purpose",),
        "lawful_basis": ("lawful_basis",),
        "collection_method": ("collection_method",),
        "os_permission": ("os_permission",),
        "os_opt_out": ("os_opt_out",),
        "gpc": ("gpc",),
        "minor": ("minor",),
        "age": ("age",),
        "tcf_string": ("tcf_string",),
        "gpp_string": ("gpp_string",),
    }
)
"""Field -> the names that a file may give it."""

NEEDED = ("id", "given_at", "state")
TIMES = ("given_at", "withdrawn_at", "expires_at")

STATES = MappingProxyType(
    {
        "given": True,
        "refused": False,
        "withdrawn": False,
        "expired": False,
        "consentgiven": True,
        "renewedconsentgiven": True,
        "consentrefused": False,
        "consentwithdrawn": False,
        "consentrevoked": False,
        "consentexpired": False,
        "consentinvalidated": False,
        "consentrequested": False,
        "consentrequestdeferred": False,
        "consentunknown": False,
        "denied": False,
        "false": False,
        "no": False,
        "0": False,
    }
)
"""State of a record, in lower case -> whether it permits processing (control A6)."""

WITHDRAWN = (
    *("withdrawn", "consentwithdrawn", "consentrevoked"),
    *("refused", "consentrefused", "consentinvalidated"),
)
"""States after which nothing that is stored may be used any more. An expired consent is none of them: what
was taken while it stood may be used until its deletion date."""

SAYS_NO = MappingProxyType(
    {
        **dict.fromkeys(
            ("true", "1", "yes", "y", "denied", "restricted", "limited", "lat", "opted_out"), True
        ),
        **dict.fromkeys(("false", "0", "no", "n", "", "granted", "authorized", "allowed"), False),
        **dict.fromkeys(("always", "when_in_use", "authorized_always", "authorized_when_in_use"), False),
        "not_determined": True,
    }
)
"""Value of `os_opt_out`, `os_permission`, `gpc` or `minor`, in lower case -> whether it bars processing.

`os_permission` has the words of the operating system: who was not asked has not permitted anything.
"""

CONSENTS = ("consent", "expressedconsent", "explicitlyexpressedconsent", "informedconsent")
"""Values of `lawful_basis` under which a record is one of consent (W3C DPV); implied consent is none."""

TCF = r"^C[A-Za-z0-9_-]{19,}(\.[A-Za-z0-9_-]+)*$"
"""Shape of a TCF v2 string (IAB Europe: TC string, dot-separated segments in base64url, version 2)."""

GPP = r"^DB[A-Za-z0-9_-]+(~[A-Za-z0-9_.-]*)+$"
"""Shape of a GPP string (IAB Tech Lab: header of type 3, version 1, then sections between tildes)."""

EARLIEST = 946_684_800
"""2000-01-01T00:00:00Z: no consent of a phone's owner is older."""

CHECKED = MappingProxyType(
    {
        "id": pl.String,
        "given_at": pl.Int64,
        "withdrawn_at": pl.Int64,
        "expires_at": pl.Int64,
        "permits": pl.Boolean,
        "withdraws": pl.Boolean,
        "consent": pl.Boolean,
        "notice_version": pl.String,
        "notice_hash": pl.String,
        "language": pl.String,
        "purpose": pl.String,
    }
)
"""Columns of checked records.

`permits`: the state permits processing, and neither the operating system, GPC nor the owner's age bars it.
`withdraws`: nothing that is stored may be used any more. `consent`: it is a record of consent, not of another
basis.
"""

_DAY = 86_400
_LATEST = 2**40
_ADULT = 18
_DURATION = (
    r"^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,6})D)?"
    r"(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?$"
)
_UNITS = (365 * _DAY, 30 * _DAY, 7 * _DAY, _DAY, 3600, 60, 1)


def permits(state: pl.Expr) -> pl.Expr:
    """Return whether each state permits processing; null where it is no known state."""
    return _term(state).replace_strict(dict(STATES), default=None, return_dtype=pl.Boolean)


def checked(raw: pl.DataFrame, normalise: Normalise, line: int, now: int) -> pl.DataFrame:
    """Return checked records (`CHECKED`).

    Args:
        raw: columns of a file.
        normalise: brings ids to the form that pings carry.
        line: number of the first record, for errors.
        now: epoch s; a consent cannot have been given after tomorrow.

    Raises:
        WrongSchema: a field is missing, or is there under two names.
        BadRecord: a record is not valid; the message names its line.
        Refusal: a record says that it is of a source that is never taken.
    """
    frame = _named(raw)
    for method in frame["collection_method"].unique().drop_nulls().to_list():
        if code := banned.named_in(method):
            raise banned.refusal(code)
    given = {name: frame[name].is_not_null() for name in frame.columns}
    read = frame.with_columns(
        normalise(frame["id"]).alias("id"),
        *(_seconds(raw, name) for name in TIMES),
        permits(pl.col("state")).alias("permits"),
        _duration(pl.col("validity_duration")).alias("valid_s"),
        *(_says_no(name) for name in ("os_permission", "os_opt_out", "gpc", "minor")),
        pl.col("age").str.strip_chars().cast(pl.Int64, strict=False).alias("age"),
    )
    _check(read, frame, given, line, now)
    barred = pl.any_horizontal("os_permission", "os_opt_out", "gpc", "minor", pl.col("age") < _ADULT)
    barred = barred.fill_null(value=False)
    withdrawn = _term(pl.col("state")).is_in(WITHDRAWN) | pl.col("withdrawn_at").is_not_null()
    basis = _term(pl.col("lawful_basis")).is_in(CONSENTS) | pl.col("lawful_basis").is_null()
    ends = pl.min_horizontal("expires_at", pl.col("given_at") + pl.col("valid_s"))
    return read.with_columns(
        permits=pl.col("permits") & ~barred, withdraws=withdrawn | barred, consent=basis, expires_at=ends
    ).select(pl.col(name).cast(kind) for name, kind in CHECKED.items())


def source_of(raw: pl.DataFrame, field: str) -> str:
    """Return under which name a file has a field, "" if it has none.

    Raises:
        WrongSchema: it is there under two names.
    """
    found = [name for name in NAMES[field] if name in raw.columns]
    if len(found) > 1:
        msg = f"The consent file has both `{found[0]}` and `{found[1]}`, which are the same."
        raise WrongSchema(msg, "Leave one of them out.")
    return found[0] if found else ""


def _named(raw: pl.DataFrame) -> pl.DataFrame:
    """Return every field as text, null where the file does not have it."""
    sources = {field: source_of(raw, field) for field in NAMES}
    missing = [field for field in NEEDED if not sources[field]]
    if missing:
        msg = f"The consent file has no column `{missing[0]}`."
        raise WrongSchema(msg, f"It needs the columns {', '.join(NEEDED)}; see docs/reference/consent.md.")
    columns = [
        _text(raw[name]).alias(field) if name else pl.Series(field, [None] * len(raw), dtype=pl.String)
        for field, name in sources.items()
    ]
    return pl.DataFrame(columns)


def _text(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.List):
        return values.list.eval(pl.element().cast(pl.String, strict=False)).list.join(",")
    return values.cast(pl.String, strict=False)


def _check(
    read: pl.DataFrame, text: pl.DataFrame, given: Mapping[str, pl.Series], line: int, now: int
) -> None:
    in_time = pl.col("given_at").is_between(EARLIEST, _LATEST) & (pl.col("given_at") <= now + _DAY)
    wrong: dict[str, pl.Expr | pl.Series] = {
        "has no valid id": pl.col("id").is_null(),
        "has an unknown state": pl.col("permits").is_null(),
        "has no valid time in `given_at`": ~in_time.fill_null(value=False),
        **{
            f"has no valid time in `{name}`": ~pl.col(name).is_between(0, _LATEST).fill_null(value=False)
            & given[name]
            for name in ("withdrawn_at", "expires_at")
        },
        "has no valid duration in `validity_duration`": pl.col("valid_s").is_null()
        & given["validity_duration"],
        **{
            f"has an unknown word in `{name}`": pl.col(name).is_null() & given[name]
            for name in ("os_permission", "os_opt_out", "gpc", "minor", "age")
        },
        **{
            f"has no valid string in `{name}`": ~text[name].str.contains(shape).fill_null(value=True)
            for name, shape in (("tcf_string", TCF), ("gpp_string", GPP))
        },
    }
    for what, test in wrong.items():
        expression = pl.lit(test) if isinstance(test, pl.Series) else test
        at = read.select(expression.arg_true()).to_series()
        if len(at):
            raise BadRecord(f"Line {line + int(at[0])} of the consent file {what}.", _help(what))


def _help(what: str) -> str:
    if "state" in what:
        return "States are given, refused, withdrawn, expired, or those of W3C DPV, such as dpv:ConsentGiven."
    if "time" in what:
        return "Write times as epoch seconds or as 2026-05-12T08:00:00+02:00."
    if "id" not in what.split():
        return "docs/reference/consent.md says what each field may hold."
    return "Ask the supplier to deliver the file again; nothing of it is in force."


def _term(values: pl.Expr) -> pl.Expr:
    """Return terms of W3C DPV, or plain words, in lower case and without their prefix."""
    plain = values.str.strip_chars().str.to_lowercase()
    return plain.str.strip_prefix("https://w3id.org/dpv#").str.strip_prefix("dpv:")


def _says_no(name: str) -> pl.Expr:
    plain = pl.col(name).str.strip_chars().str.to_lowercase()
    return plain.replace_strict(dict(SAYS_NO), default=None, return_dtype=pl.Boolean).alias(name)


def _duration(values: pl.Expr) -> pl.Expr:
    """Return seconds of whole numbers and ISO 8601 durations; a month counts 30 days, a year 365."""
    text = values.str.strip_chars()
    groups = text.str.extract_groups(_DURATION)
    parts = [
        groups.struct.field(str(number)).cast(pl.Int64, strict=False).fill_null(0) * unit
        for number, unit in enumerate(_UNITS, 1)
    ]
    said = text.str.contains(_DURATION)
    whole = text.cast(pl.Int64, strict=False)
    whole = pl.when(whole.is_between(0, _LATEST)).then(whole)
    return pl.when(said).then(pl.sum_horizontal(parts)).otherwise(whole)


def _seconds(raw: pl.DataFrame, field: str) -> pl.Series:
    """Return whole epoch seconds, null where a value is no time with an offset."""
    name = source_of(raw, field)
    if not name:
        return pl.Series(field, [None] * len(raw), dtype=pl.Int64)
    values = raw[name].alias(field)
    if isinstance(values.dtype, pl.Datetime):
        aware = values.dtype.time_zone is not None
        return values.dt.epoch("s") if aware else pl.Series(field, [None] * len(values), dtype=pl.Int64)
    if values.dtype != pl.String:
        return values.cast(pl.Int64, strict=False)
    text = values.str.strip_chars()
    instants = text.str.to_datetime("%+", time_zone="UTC", strict=False)
    return text.cast(pl.Int64, strict=False).fill_null(instants.dt.epoch("s"))
