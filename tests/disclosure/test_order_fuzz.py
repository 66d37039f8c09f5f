"""Whatever bytes are handed in as an order, the answer is a refusal and never another error.

`PASSERSBY_FUZZ` sets how many inputs of each kind the slow part tries.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disclosure.scene import Bench
from disclosure.test_order_contents import GOOD, LIMITS, NOW, paths
from passersby.disclosure import documents, order, page
from passersby.disclosure.order import Limits
from passersby.errors import Refusal

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("PASSERSBY_FUZZ", "10000"))
TOKENS = (
    b"/Names /EmbeddedFiles /EF /F /UF /Type /Page /Pages /Kids /Contents /Sig /ByteRange /Root /Prev /Size "
    b"/AcroForm /Fields /DSS obj endobj stream endstream xref trailer startxref %%EOF << >> [ ] 0 R -1 "
    b'4294967296 true null {} [] " : , protected payload signature header x5c alg etsiU rVals crlVals val'
).split()


def taken(document: bytes) -> bool:
    """Read an order as a submission does; return whether it got through to a refusal or to its contents."""
    try:
        found = documents.read(document)
        order.parse(found.signed.payload, Limits(5, 31, "test"), now=0)
    except Refusal:
        return False
    return True


def spoiled(data: bytes, dice: random.Random) -> bytes:
    """Return a document with some bytes changed, cut, repeated, moved or replaced by words of its format."""
    text = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 4, 16])):
        at = dice.randrange(len(text) + 1)
        end = min(len(text), at + dice.choice([1, 2, 8, 64, 1024]))
        kind = dice.randrange(6)
        if kind == 0 and at < len(text):
            text[at] = dice.randrange(256)
        elif kind == 1:
            del text[at:end]
        elif kind == 2:
            text[at:at] = text[at:end]
        elif kind == 3:
            text[at:end] = dice.choice(TOKENS)
        elif kind == 4:
            text[at:at] = dice.randbytes(dice.choice([1, 4, 32]))
        else:
            text = text[:at] + text[dice.randrange(len(text) + 1) :]
    return bytes(text)


@pytest.fixture
def seeds(bench: Bench) -> dict[str, list[bytes]]:
    payload = order.written(bench.order())
    return {
        "pdf": [bench.document(form="pdf"), page.document(payload), with_streams(payload)],
        "jws": [bench.document()],
        "json": [payload],
    }


def with_streams(payload: bytes) -> bytes:
    """Return a PDF whose attachment is compressed: another way through the parser."""
    plain = page.document(payload)
    packed = zlib.compress(payload)
    head = b"<< /Type /EmbeddedFile /Filter /FlateDecode /Length %d >> stream\n" % len(packed)
    return plain.replace(b"stream\n" + payload, head[2:] + packed)


@settings(max_examples=200)
@given(st.binary(max_size=400), st.sampled_from([b"", b"%PDF-1.7\n", b'{"protected":"', b"{"]))
def test_any_bytes(data: bytes, start: bytes) -> None:
    assert not taken(start + data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.data())
def test_any_value_in_any_field(data: st.DataObject) -> None:
    values = json.loads(order.written(GOOD))
    path = data.draw(st.sampled_from(paths(values)))
    spot = values
    for name in path[:-1]:
        spot = spot[name]
    spot[path[-1]] = data.draw(json_values)
    with contextlib.suppress(Refusal):
        order.parse(json.dumps(values).encode(), LIMITS, now=NOW)


@pytest.mark.parametrize("kind", ["pdf", "jws", "json"])
def test_spoiled_documents(seeds: dict[str, list[bytes]], kind: str) -> None:
    run(seeds[kind], 150, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pdf", "jws", "json"])
def test_very_many_spoiled_documents(seeds: dict[str, list[bytes]], kind: str) -> None:
    run(seeds[kind], COUNT, seed=None)


def run(seeds: list[bytes], count: int, *, seed: int | None) -> None:
    dice = random.Random(seed)
    for number in range(count):
        document = spoiled(dice.choice(seeds), dice)
        try:
            taken(document)
        except BaseException as error:  # noqa: BLE001 (any error at all is what must not be)
            pytest.fail(f"{type(error).__name__} on input {number}: {document[:200]!r}...")
