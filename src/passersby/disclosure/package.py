"""Seals an order's result to its recipient: a tar of four files in an age file, padded to steps of size.

"Not held" and "the key was destroyed" are results like any other: the same files, the same names, the same
steps of size. Whoever carries the package, or made it, learns nothing from it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyrage
import rfc8785

from passersby.disclosure.lookup import Epoch
from passersby.disclosure.order import Order, utc_text
from passersby.model.period import Period

SCHEMA = "passersby-disclosure/1"
MANIFEST, PINGS, ENTRY, PROOF = "manifest.json", "pings.csv", "log-entry.json", "log-proof.txt"

SMALLEST = 4 << 20
"""Least size of a package's contents, bytes; larger ones are 4, 16, 64 ... times as large."""

COLUMNS = ("device", "time", "latitude", "longitude", "accuracy_m", "supplier", "delivery")


def sealed(recipient: str, files: Mapping[str, bytes], *, now: int) -> bytes:
    """Return files sealed to an age key; only its holder can open them.

    Args:
        recipient: age public key (X25519).
        files: name -> contents.
        now: epoch s, the files' date.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), now, 0o600
            tar.addfile(info, io.BytesIO(data))
    plain = out.getvalue()
    size = SMALLEST
    while size < len(plain):
        size *= 4
    to = pyrage.x25519.Recipient.from_str(recipient)
    return bytes(pyrage.encrypt(plain + bytes(size - len(plain)), [to]))


def table(found: pa.Table, order: Order, suppliers: Mapping[int, str]) -> bytes:
    """Return pings as CSV, by device and time. Times are UTC; coordinates in degrees, WGS 84.

    Args:
        found: pings (`lookup.FOUND`).
        order: whose devices they are of.
        suppliers: number -> name.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    ordered = found.sort_by([("number", "ascending"), ("t", "ascending"), ("delivery", "ascending")])
    for row in ordered.to_pylist():
        rows.writerow(
            (
                order.devices[row["number"]],
                utc_text(row["t"]),
                f"{row['lat_e5'] / 1e5:.5f}",
                f"{row['lon_e5'] / 1e5:.5f}",
                "" if row["accuracy_m"] is None else row["accuracy_m"],
                suppliers[row["supplier"]],
                row["delivery"],
            )
        )
    return text.getvalue().encode()


def results(found: pa.Table, order: Order, stretches: Sequence[Epoch], offset: int) -> list[dict[str, Any]]:
    """Return for each device and week what was there: held, not held, or a destroyed key."""
    return [
        {
            "device": device,
            "pings": len(times),
            "weeks": [_week(period, times, stretches, offset) for period in order.window.periods(offset)],
        }
        for number, device in enumerate(order.devices)
        for times in [found.filter(pc.equal(found["number"], number))["t"].to_numpy()]
    ]


def manifest(facts: Mapping[str, Any], pings: bytes, weeks: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the manifest: what was ordered, who approved it, what was found, and the hash of the pings."""
    whole = {
        "schema": SCHEMA,
        **facts,
        "results": list(weeks),
        "files": {
            PINGS: {
                "sha256": hashlib.sha256(pings).hexdigest(),
                "bytes": len(pings),
                "rows": pings.count(b"\n") - 1,
            }
        },
    }
    return json.dumps(json.loads(rfc8785.dumps(whole)), indent=2).encode() + b"\n"


def _week(period: Period, times: Any, stretches: Sequence[Epoch], offset: int) -> dict[str, Any]:  # noqa: ANN401
    span = period.span(offset)
    week: dict[str, Any] = {"week": period.name, "result": "not held"}
    destroyed = [e.destroyed for e in stretches if e.span.start < span.end and span.start < e.span.end]
    if np.any((times >= span.start) & (times < span.end)):
        week["result"] = "held"
    elif any(each is not None for each in destroyed):
        week |= {"result": "key destroyed", "on": utc_text(max(filter(None, destroyed)))}
    return week
