"""Opens a sealed package as its recipient does."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

import pyrage

from disclosure.scene import IDENTITY


@dataclass(frozen=True)
class Opened:
    """What the recipient finds: `files` by name, `manifest`, `pings` as dictionaries."""

    files: dict[str, bytes]
    manifest: dict[str, Any]
    pings: list[dict[str, str]]


def unsealed(package: bytes, identity: Any = IDENTITY) -> Opened:
    return untarred(pyrage.decrypt(package, [identity]))


def untarred(plain: bytes) -> Opened:
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        files = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
    pings = list(csv.DictReader(io.StringIO(files["pings.csv"].decode())))
    return Opened(files, json.loads(files["manifest.json"]), pings)
