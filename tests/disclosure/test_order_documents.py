"""Signed documents: what a court signed is what counts; every way around that is refused with its code."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from asn1crypto import crl
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils import embed, generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from disclosure.scene import BEA, Bench
from passersby.disclosure import documents, order, page, testcourt
from passersby.disclosure.mark import TEST_OID, accepting
from passersby.disclosure.testcourt import Court
from passersby.model.period import DAY

pytestmark = pytest.mark.slow

Edit = Callable[[IncrementalPdfFileWriter], object]


def revoking(court: Court, at: int, *, since: int) -> crl.CertificateList:
    """Return a list in which the judge is revoked since an instant."""
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    made = testcourt.revocations(
        court.issuer, [court.judge.certificate], moment, since=dt.datetime.fromtimestamp(since, dt.UTC)
    )
    return documents.revocation_list(made.public_bytes(serialization.Encoding.DER))


def updated(document: bytes, *edits: Edit) -> bytes:
    """Return a PDF with an incremental update: all that was signed stays as it is, byte for byte."""
    writer = IncrementalPdfFileWriter(io.BytesIO(document))
    for edit in edits:
        edit(writer)
    out = io.BytesIO()
    writer.write(out)
    assert out.getvalue().startswith(document)
    return out.getvalue()


def swap_devices(writer: IncrementalPdfFileWriter) -> None:
    """Put another device into the attachment."""
    files = writer.root["/Names"]["/EmbeddedFiles"]["/Names"][1].get_object()["/EF"]
    stream = files["/F"]
    values = json.loads(stream.data)
    values["LDTask"]["RequestDetails"]["RequestValues"][0]["Value"] = BEA
    stream._data, stream._encoded_data = json.dumps(values).encode(), None
    writer.mark_update(files.raw_get("/F").reference)


def another_page(writer: IncrementalPdfFileWriter) -> None:
    stream = writer.add_object(generic.StreamObject(stream_data=b"BT ET"))
    writer.insert_page(writer_page(stream))


def writer_page(stream: Any) -> Any:
    from pyhanko.pdf_utils.writer import PageObject  # noqa: PLC0415 (used here alone)

    return PageObject(stream, (0, 0, 595, 842))


def a_key_in_the_catalogue(writer: IncrementalPdfFileWriter) -> None:
    writer.root[generic.pdf_name("/Lang")] = generic.pdf_string("en")
    writer.update_root()


def shown(document: bytes) -> list[str]:
    """Return the devices that a viewer shows: those of the newest revision."""
    values = json.loads(page.attachment(PdfFileReader(io.BytesIO(document)).root))
    return [each["Value"] for each in values["LDTask"]["RequestDetails"]["RequestValues"]]


@pytest.mark.parametrize("form", ["pdf", "json"])
def test_a_signed_order_is_verified(bench: Bench, form: str) -> None:
    number = bench.submit(bench.document(form=form))
    entry = bench.entries("order.verified")[-1]
    assert (entry["order"], entry["court"], entry["form"]) == (number, "court", form)
    assert bench.private(entry["index"])["reference"] == "TX/2026/42"


def test_the_device_list_cannot_be_swapped_after_the_signature(bench: Bench) -> None:
    signed = bench.document(form="pdf")
    evil = updated(signed, swap_devices)
    assert shown(evil) == [BEA]  # what everybody sees who opens it
    assert documents.read(evil).signed.payload == documents.read(signed).signed.payload
    assert bench.code(evil) == "SignatureInvalid"
    assert bench.submit(signed) == 1  # and the court's own document is still good


@pytest.mark.parametrize("edit", [another_page, a_key_in_the_catalogue])
def test_nothing_may_come_after_the_signature(bench: Bench, edit: Edit) -> None:
    assert bench.code(updated(bench.document(form="pdf"), edit)) == "SignatureInvalid"


def test_an_update_before_the_signature_is_part_of_it(bench: Bench) -> None:
    draft = page.document(order.written(bench.order()))
    swapped = updated(draft, swap_devices)
    assert bench.code(testcourt.sign_pdf(swapped, bench.court, now=bench.now)) == "Incomplete"


def test_a_page_that_says_something_else_is_no_order(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge reads Ana's id; the machine would read Bea's."""
    ana, bea = (order.written(bench.order(devices=(each,))) for each in (bench.order().devices[0], BEA))
    real = page.lines
    with monkeypatch.context() as patch:
        patch.setattr(page, "lines", lambda _payload: real(ana))
        draft = page.document(bea)
    assert bench.code(testcourt.sign_pdf(draft, bench.court, now=bench.now)) == "Incomplete"


def a_script(writer: IncrementalPdfFileWriter) -> None:
    action = {"/S": generic.pdf_name("/JavaScript"), "/JS": generic.pdf_string("app.alert(1)")}
    writer.root[generic.pdf_name("/OpenAction")] = generic.DictionaryObject(
        {generic.pdf_name(name): value for name, value in action.items()}
    )
    writer.update_root()


def a_note(writer: IncrementalPdfFileWriter) -> None:
    found, reference = (
        writer.root["/Pages"]["/Kids"][0].get_object(),
        writer.root["/Pages"]["/Kids"].raw_get(0),
    )
    note = {"/Type": "/Annot", "/Subtype": "/FreeText"}
    made = generic.DictionaryObject({generic.pdf_name(k): generic.pdf_name(v) for k, v in note.items()})
    found[generic.pdf_name("/Annots")] = generic.ArrayObject([writer.add_object(made)])
    writer.mark_update(reference.reference)


def a_second_attachment(writer: IncrementalPdfFileWriter) -> None:
    file = embed.EmbeddedFileObject.from_file_data(writer, b"{}")
    embed.embed_file(writer, embed.FileSpec("more.json", embedded_data=file))


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (a_script, "Incomplete"),
        (a_note, "Incomplete"),
        (another_page, "Incomplete"),
        (a_second_attachment, "NotMachineVerifiable"),
    ],
)
def test_what_a_page_must_not_have_even_if_it_was_signed(bench: Bench, edit: Edit, code: str) -> None:
    draft = updated(page.document(order.written(bench.order())), edit)
    assert bench.code(testcourt.sign_pdf(draft, bench.court, now=bench.now)) == code


def test_a_second_signature_of_a_stranger(bench: Bench, rogue: Court) -> None:
    """Every signer must be of the court, not only the first."""
    draft = page.document(order.written(bench.order()))
    first = plain_signature(draft, bench.court, "First")
    second = plain_signature(first, rogue, "Second")
    assert len(documents.read(second).signed.signers) == 2
    assert bench.code(second) == "InvalidIssuingAuthority"


def test_two_signatures_over_two_scopes(bench: Bench) -> None:
    draft = page.document(order.written(bench.order()))
    first = plain_signature(draft, bench.court, "First")
    second = plain_signature(updated(first, swap_devices), bench.court, "Second")
    assert bench.code(second) in {"SignatureInvalid", "Incomplete"}


def a_text_field(writer: IncrementalPdfFileWriter) -> None:
    """Put a form into a draft, with one field that is shown nowhere."""
    made = {"/FT": generic.pdf_name("/Tx"), "/T": generic.pdf_string("note"), "/V": generic.pdf_string("")}
    field = generic.DictionaryObject({generic.pdf_name(name): value for name, value in made.items()})
    form = {generic.pdf_name("/Fields"): generic.ArrayObject([writer.add_object(field)])}
    writer.root[generic.pdf_name("/AcroForm")] = writer.add_object(generic.DictionaryObject(form))
    writer.update_root()


def fill_it_in(writer: IncrementalPdfFileWriter) -> None:
    fields_ = writer.root["/AcroForm"]["/Fields"]
    fields_[0].get_object()[generic.pdf_name("/V")] = generic.pdf_string("and everybody else")
    writer.mark_update(fields_.raw_get(0).reference)


def test_not_even_what_forms_allow_may_come_after(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature can permit that a form is filled in later: viewers say that all is well."""
    open_ended = {"certify": False, "docmdp_permissions": fields.MDPPerm.FILL_FORMS}
    real = signers.PdfSignatureMetadata
    monkeypatch.setattr(signers, "PdfSignatureMetadata", lambda **given: real(**{**given, **open_ended}))
    draft = updated(page.document(order.written(bench.order())), a_text_field)
    signed = testcourt.sign_pdf(draft, bench.court, now=bench.now)
    assert bench.code(updated(signed, fill_it_in)) == "SignatureInvalid"
    bench.submit(signed)


def test_two_signatures_of_the_court(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge and a registrar sign one after the other: both cover the same scope."""
    open_ended = {"certify": False, "docmdp_permissions": fields.MDPPerm.FILL_FORMS}
    real, names = signers.PdfSignatureMetadata, iter(["Judge", "Registrar"])

    def metadata(**given: Any) -> Any:
        return real(**{**given, **open_ended, "field_name": next(names)})

    monkeypatch.setattr(signers, "PdfSignatureMetadata", metadata)
    once = bench.document(form="pdf")
    twice = testcourt.sign_pdf(once, bench.court, now=bench.now)
    assert len(documents.read(twice).signed.signers) == 2
    bench.submit(twice)


def plain_signature(document: bytes, court: Court, field: str) -> bytes:
    """Return a PDF with a PAdES signature without anything added, under a name of its own."""
    certificates = SimpleCertificateStore()
    certificates.register(testcourt._asn1(court.issuer.certificate))
    signer = signers.SimpleSigner(
        signing_cert=testcourt._asn1(court.judge.certificate),
        signing_key=testcourt._asn1_key(court.judge),
        cert_registry=certificates,
    )
    out = io.BytesIO()
    with accepting(marked=True):
        signers.sign_pdf(
            IncrementalPdfFileWriter(io.BytesIO(document)),
            signers.PdfSignatureMetadata(field_name=field, subfilter=fields.SigSeedSubFilter.PADES),
            signer=signer,
            output=out,
        )
    return out.getvalue()


@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_flipped_byte(bench: Bench, at: float) -> None:
    document = bytearray(bench.document(form="pdf"))
    signature = json.loads(bench.document())
    end = PdfFileReader(io.BytesIO(bytes(document))).embedded_signatures[0].byte_range[1]
    document[int(end * at)] ^= 1
    assert bench.code(bytes(document)) in {"SignatureInvalid", "NotMachineVerifiable", "Incomplete"}
    payload = bytearray(base64.urlsafe_b64decode(signature["payload"] + "=="))
    payload[payload.index(b"TX/")] ^= 1
    signature["payload"] = base64.urlsafe_b64encode(bytes(payload)).rstrip(b"=").decode()
    assert bench.code(json.dumps(signature).encode()) == "SignatureInvalid"


@pytest.mark.parametrize("form", ["pdf", "json"])
def test_a_rogue_authority_of_the_same_name(bench: Bench, rogue: Court, form: str) -> None:
    assert bench.code(bench.document(form=form, by=rogue)) == "InvalidIssuingAuthority"


@pytest.mark.parametrize("form", ["pdf", "json"])
def test_a_revoked_signer(bench: Bench, form: str) -> None:
    lists = [revoking(bench.court, bench.now, since=bench.now - DAY)]
    assert bench.code(bench.document(form=form), lists) == "SignatureInvalid"


def test_a_list_in_the_document_revokes_too(bench: Bench) -> None:
    moment = dt.datetime.fromtimestamp(bench.now, dt.UTC)
    since = moment - dt.timedelta(days=1)
    own = testcourt.revocations(bench.court.issuer, [bench.court.judge.certificate], moment, since=since)
    court = replace(bench.court, lists=(bench.court.lists[0], own, bench.court.lists[2]))
    assert bench.code(bench.document(by=court)) == "SignatureInvalid"


@pytest.mark.parametrize("form", ["pdf", "json"])
def test_revocation_data_must_be_there(bench: Bench, form: str) -> None:
    if form == "pdf":
        draft = page.document(order.written(bench.order()))
        document = testcourt.sign_pdf(draft, bench.court, now=bench.now, validated=False)
    else:
        document = bench.document(by=replace(bench.court, lists=()))
    assert bench.code(document) == "SignatureInvalid"


def test_revocation_data_must_be_current(bench: Bench) -> None:
    assert bench.code(at=bench.now + 31 * DAY) == "SignatureInvalid"
    bench.submit(at=bench.now + 29 * DAY)


def test_a_clock_that_nobody_registered(bench: Bench, rogue: Court) -> None:
    court = replace(bench.court, clock=rogue.clock, clock_root=rogue.clock_root)
    lists = (*bench.court.lists[:2], rogue.lists[2])
    document = bench.document(form="pdf", by=replace(court, lists=lists))
    assert bench.code(document) == "SignatureInvalid"


def test_a_court_of_another_jurisdiction_or_of_no_name(bench: Bench) -> None:
    assert bench.code(bench.document(bench.order(jurisdiction="YY"))) == "InvalidIssuingAuthority"
    assert bench.code(bench.document(bench.order(court="court-clock"))) == "InvalidIssuingAuthority"
    assert bench.code(bench.document(bench.order(court="nobody"))) == "InvalidIssuingAuthority"


def unsigned(bench: Bench) -> list[bytes]:
    payload = order.written(bench.order())
    return [
        b"",
        b"To whom it may concern",
        payload,
        page.document(payload),
        b"%PDF-1.7\n",
        b"{}",
        b"x" * (2 << 20),
    ]


def test_paper_is_not_verifiable(bench: Bench) -> None:
    for document in unsigned(bench):
        assert bench.code(document) == "NotMachineVerifiable"


def forged(bench: Bench, **header: Any) -> bytes:
    whole = json.loads(bench.document())
    own = json.loads(base64.urlsafe_b64decode(whole["protected"] + "=="))
    text = json.dumps({**own, **header}).encode()
    whole["protected"] = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"alg": "none"}, "NotMachineVerifiable"),
        ({"alg": "HS256"}, "NotMachineVerifiable"),
        ({"alg": "RS256"}, "NotMachineVerifiable"),
        ({"x5c": []}, "NotMachineVerifiable"),
        ({"crit": ["b64"], "b64": False}, "NotMachineVerifiable"),
        ({"sigT": "2020-01-01"}, "SignatureInvalid"),
    ],
)
def test_the_header_chooses_no_weaker_check(bench: Bench, header: dict[str, Any], code: str) -> None:
    assert bench.code(forged(bench, **header)) == code


def test_the_page_prints_every_field_and_the_hash(bench: Bench) -> None:
    asked = bench.order(devices=(bench.order().devices[0], BEA), reference="Grüße (\u03b1) \\ 42")
    payload = order.written(asked)
    root = PdfFileReader(io.BytesIO(page.document(payload))).root
    text = b"".join(kid.get_object()["/Contents"].data for kid in root["/Pages"]["/Kids"])
    for word in (*asked.devices, "test", asked.recipient, "2026-05-10T22:00:00Z", asked.basis):
        assert word.encode() in text
    assert "Grüße \\(".encode("cp1252") in text
    assert b"\\\\u03b1" in text
    assert hashlib.sha256(payload).hexdigest().encode() in text
    assert page.shows(root, payload)
    assert not page.shows(root, order.written(bench.order()))


def test_an_order_of_many_words_has_several_pages(bench: Bench) -> None:
    ring = [[7 + n / 1000, 46 + (n % 7) / 1000] for n in range(200)]
    area = {"type": "Polygon", "coordinates": [[*ring, [7, 47], ring[0]]]}
    payload = order.written(bench.order(area=area))
    if len(page._contents(payload)) < 2:
        pytest.fail("the page does not break")
    assert page.shows(PdfFileReader(io.BytesIO(page.document(payload))).root, payload)


def test_certificates_of_the_test_court_are_void_elsewhere(bench: Bench) -> None:
    extension = bench.court.judge.certificate.extensions.get_extension_for_oid(
        x509.ObjectIdentifier(TEST_OID)
    )
    assert extension.critical
