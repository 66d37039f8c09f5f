"""The page that a judge reads: made from the order's JSON alone, every field of it, with the JSON's hash.

It can be made again from the JSON at any time, and is, whenever an order is verified: a page that says
something else than the JSON is no order. It uses two fonts that every PDF reader has, and no compression, so
that its bytes depend on nothing but the JSON.
"""

from __future__ import annotations

import hashlib
import io
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from pyhanko.pdf_utils import embed, generic, writer
from pyhanko.pdf_utils.generic import pdf_name

ATTACHMENT = "order.json"

_WIDTH, _HEIGHT = 595, 842  # A4, points
_LEFT, _TOP, _BOTTOM = 56, 786, 56
_LEADING, _SIZE = 13, 9
_VALUE, _COLUMNS = 212, 64
_FONTS = {"/F1": "/Courier", "/F2": "/Courier-Bold"}
_TITLE = "Order for the location history of named devices"

_LABELS = {
    "AuthorisationReference": "Case reference",
    "AuthorisationApprovalDetails.ApproverDetails.ApproverIdentity": "Court",
    "AuthorisationJurisdiction": "Jurisdiction",
    "AuthorisationApprovalDetails.ApproverDetails.ApproverName": "Approved by",
    "AuthorisationApprovalDetails.ApproverDetails.ApproverRole": "Office",
    "AuthorisationApprovalDetails.ApprovalTimestamp": "Approved on",
    "AuthorisationApprovalDetails.ApprovalDescription": "Legal basis",
    "AuthorisationLegalType": "Kind of order",
    "AuthorisationCSPID": "Addressed to",
    "AuthorisationTimespan.StartTime": "In force from",
    "AuthorisationTimespan.EndTime": "In force before",
    "LDTask.RequestDetails.Type": "What is asked for",
    "LDTask.RequestDetails.RequestValues": "Device (advertising id)",
    "LDTask.RequestDetails.StartTime": "Window from",
    "LDTask.RequestDetails.EndTime": "Window before",
    "LDTask.RequestDetails.Area": "Only within the area",
    "LDTask.DeliveryDetails.RecipientKey": "Sealed to the key",
    "NoticeDelay.Until": "Notice not before",
    "schema": "Form",
}
"""Path of each field and how the page names it, in the page's order; others come after, by path."""


def document(payload: bytes) -> bytes:
    """Return the unsigned PDF of an order's JSON: its page, and the JSON as an attachment."""
    pdf = writer.PdfFileWriter(stream_xrefs=False)
    for content in _contents(payload):
        stream = pdf.add_object(generic.StreamObject(stream_data=content))
        pdf.insert_page(writer.PageObject(stream, (0, 0, _WIDTH, _HEIGHT), _resources()))
    file = embed.EmbeddedFileObject.from_file_data(pdf, payload, compress=False, mime_type="application/json")
    embed.embed_file(pdf, embed.FileSpec(ATTACHMENT, embedded_data=file, description="The order's JSON"))
    out = io.BytesIO()
    pdf.write(out)
    return out.getvalue()


def attachment(root: generic.DictionaryObject) -> bytes:
    """Return the one attached file of a PDF, by its catalogue.

    Raises:
        ValueError: there is none, or more than one, or it has another name.
    """
    names = root["/Names"]["/EmbeddedFiles"]["/Names"]
    if "/Names" in root and set(root["/Names"]) != {"/EmbeddedFiles"}:
        raise ValueError("there is more than an attachment")
    if len(names) != 2:
        raise ValueError("there is not exactly one attachment")
    spec = names[1].get_object()
    streams = spec["/EF"]
    if str(spec["/F"]) != ATTACHMENT or str(spec.get("/UF", ATTACHMENT)) != ATTACHMENT:
        raise ValueError("the attachment has another name")
    if set(streams) - {"/F", "/UF"}:
        raise ValueError("the attachment has several forms")
    found = {bytes(streams[name].data) for name in streams}
    if len(found) != 1:
        raise ValueError("the attachment has several contents")
    return found.pop()


def shows(root: generic.DictionaryObject, payload: bytes) -> bool:
    """Return whether a PDF shows exactly the page of this JSON and can show nothing else.

    What a signing program adds is let through: form fields of signatures, their validation data.
    """
    if set(root) - _CATALOGUE:
        return False
    pages = list(_pages(root["/Pages"]))
    contents = list(_contents(payload))
    return len(pages) == len(contents) and all(
        _is_page(found, wanted) for found, wanted in zip(pages, contents, strict=True)
    )


def lines(payload: bytes) -> list[tuple[str, str]]:
    """Return label and value of every field of an order's JSON."""
    order = list(_LABELS)
    leaves = list(_leaves(json.loads(payload), ()))
    leaves.sort(key=lambda leaf: order.index(leaf[0]) if leaf[0] in _LABELS else len(order))
    return [(_LABELS.get(path, path), value) for path, value in leaves]


_CATALOGUE = frozenset(
    {"/Type", "/Pages", "/Names", "/AcroForm", "/DSS", "/Perms", "/Extensions", "/Version", "/Metadata"}
)
_PAGE = frozenset({"/Type", "/Parent", "/MediaBox", "/Resources", "/Contents", "/Annots"})


def _pages(node: generic.DictionaryObject, depth: int = 0) -> Iterator[generic.DictionaryObject]:
    if node["/Type"] == "/Page":
        yield node
    elif depth < 8 and set(node) <= {"/Type", "/Kids", "/Count", "/Parent"}:
        for kid in node["/Kids"]:
            yield from _pages(kid.get_object(), depth + 1)
    else:
        raise ValueError("pages inherit something")


def _is_page(page: generic.DictionaryObject, content: bytes) -> bool:
    if set(page) - _PAGE or isinstance(page["/Contents"], generic.ArrayObject):
        return False
    widgets = [each.get_object() for each in page.get("/Annots", ())]
    return (
        all(each.get("/Subtype") == "/Widget" and each.get("/FT") == "/Sig" for each in widgets)
        and [float(each) for each in page["/MediaBox"]] == [0, 0, _WIDTH, _HEIGHT]
        and _plain(page["/Resources"]) == _plain(_resources())
        and bytes(page["/Contents"].data) == content
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 (PDF objects of any kind)
    """Return a PDF object without references, to be compared."""
    value = value.get_object()
    if isinstance(value, generic.DictionaryObject):
        return {str(name): _plain(value.raw_get(name)) for name in value}
    return str(value)


def _resources() -> generic.DictionaryObject:
    fonts = generic.DictionaryObject()
    for name, base in _FONTS.items():
        font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": base, "/Encoding": "/WinAnsiEncoding"}
        fonts[pdf_name(name)] = generic.DictionaryObject(
            {pdf_name(key): pdf_name(value) for key, value in font.items()}
        )
    return generic.DictionaryObject({pdf_name("/Font"): fonts})


def _contents(payload: bytes) -> list[bytes]:
    """Return the content stream of each page."""
    rows = list(_rows(payload))
    fits = (_TOP - _BOTTOM) // _LEADING
    parts = [rows[first : first + fits] for first in range(0, len(rows), fits)]
    return [_drawn(part, f"page {number} of {len(parts)}") for number, part in enumerate(parts, 1)]


def _rows(payload: bytes) -> Iterator[tuple[str, str]]:
    """Yield (label, value) of each row; a label is drawn in bold, a value in the column beside it."""
    yield _TITLE, ""
    yield "", ""
    for label, value in lines(payload):
        for number, line in enumerate(textwrap.wrap(value, _COLUMNS, break_on_hyphens=False) or [""]):
            yield "" if number else label, line
    yield "", ""
    yield f"SHA-256 of the attached {ATTACHMENT}, which alone is carried out", ""
    yield "", hashlib.sha256(payload).hexdigest()


def _drawn(rows: Sequence[tuple[str, str]], foot: str) -> bytes:
    parts = []
    for number, (label, value) in enumerate(rows):
        y = _TOP - number * _LEADING
        parts += [_words("/F2", _LEFT, y, label), _words("/F1", _VALUE, y, value)]
    parts.append(_words("/F1", _LEFT, _BOTTOM - 2 * _LEADING, foot))
    return b"".join(parts)


def _words(font: str, x: int, y: int, text: str) -> bytes:
    if not text:
        return b""
    return b"BT %s %d Tf %d %d Td (%s) Tj ET\n" % (font.encode(), _SIZE, x, y, _encoded(text))


def _encoded(line: str) -> bytes:
    r"""Return text in the fonts' encoding; other letters stand as \uXXXX, as in JSON."""
    found = []
    for each in line:
        try:
            found.append(each.encode("cp1252") if each.isprintable() else b"?")
        except UnicodeEncodeError:
            found.append(json.dumps(each).strip('"').encode())
    text = b"".join(found)
    return text.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (JSON)
    """Yield the path and the text of every value; a device and an area are one value each."""
    name = ".".join(path)
    if isinstance(value, dict) and path[-1:] != ("Area",) and set(value) != {"FormatType", "Value"}:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list):
        for below in value:
            yield from _leaves(below, path)
    elif isinstance(value, dict) and "Value" in value:
        yield name, str(value["Value"])
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, sort_keys=True)
