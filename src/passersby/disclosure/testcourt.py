"""A court for trying: made anew in a folder, marked in every certificate, good for demo deployments alone.

It has what a real one has: a root, an issuing authority, a judge's certificate, a list of revoked
certificates (CRL), and an authority that stamps the time. `sign` makes what a court's own program makes: a
PAdES-B-LTA signature on a PDF, a JAdES-like signature with revocation values on JSON.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from asn1crypto import crl as asn1_crl
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jws
from joserfc.jwk import ECKey
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers, timestamps
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from passersby.disclosure.mark import TEST_OID, TEST_VALUE, accepting
from passersby.errors import UnreadableFile, UsageError
from passersby.store import durable

_DAYS = 365
_CRL_DAYS = 30
_FORM = """# A {what} for trying, made by `passersby court demo`. Only deployments made with --demo accept it.

id = "{id}"
use = "{use}"
title = "{title}"
jurisdiction = "{jurisdiction}"
source = "made in this folder by `passersby court demo`"
revocation = "a list (CRL) within each signed document"
valid_from = "{valid_from}"
valid_until = "{valid_until}"
certificate = '''
{certificate}'''
"""


Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Signer:
    """A certificate with its key: P-256, or RSA for the clock, whose program knows no other."""

    certificate: x509.Certificate
    key: Key


@dataclass(frozen=True)
class Court:
    """All that signs for one court. `marked`: every certificate carries the TEST mark."""

    root: Signer
    issuer: Signer
    judge: Signer
    clock_root: Signer
    clock: Signer
    lists: tuple[x509.CertificateRevocationList, ...]
    marked: bool


def make(folder: Path, *, name: str, now: int) -> None:
    """Make a test court in a new folder: its keys, and the two records that `passersby court add` takes.

    Raises:
        UsageError: the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty.", "Name a new folder for the test court.")
    court = generate(f"{name} (test)", now=now, marked=True)
    for part, signer in (
        ("root", court.root),
        ("issuer", court.issuer),
        ("judge", court.judge),
        ("clock-root", court.clock_root),
        ("clock", court.clock),
    ):
        durable.write(folder / f"{part}.crt", _pem(signer.certificate))
        durable.write(folder / f"{part}.key", _key_pem(signer.key))
    for number, each in enumerate(court.lists):
        durable.write(folder / f"{number}.crl", each.public_bytes(serialization.Encoding.DER))
    for file, use, signer, what in (
        ("court.toml", "court", court.root, "court"),
        ("clock.toml", "timestamp", court.clock_root, "timestamp authority"),
    ):
        text = _FORM.format(
            what=what,
            id=name if use == "court" else f"{name}-clock",
            use=use,
            title=f"{name}, a {what} for trying",
            jurisdiction="XX",
            valid_from=signer.certificate.not_valid_before_utc.isoformat(),
            valid_until=signer.certificate.not_valid_after_utc.isoformat(),
            certificate=_pem(signer.certificate).decode(),
        )
        durable.write(folder / file, text.encode())


def load(folder: Path) -> Court:
    """Return the test court of a folder that `make` made.

    Raises:
        UsageError: there is none.
        UnreadableFile: a file of it is damaged.
    """
    if not (folder / "judge.key").is_file():
        raise UsageError(
            f"There is no test court in {folder}.", f"Make one with `passersby court demo {folder}`."
        )
    try:
        root, issuer, judge, clock_root, clock = (
            _signer(folder, part) for part in ("root", "issuer", "judge", "clock-root", "clock")
        )
        lists = [x509.load_der_x509_crl(path.read_bytes()) for path in sorted(folder.glob("*.crl"))]
    except (OSError, ValueError):
        raise UnreadableFile(
            "A file of the test court cannot be read.", "Make a new court with `passersby court demo`."
        ) from None
    return Court(root, issuer, judge, clock_root, clock, tuple(lists), marked=True)


def generate(name: str, *, now: int, marked: bool) -> Court:
    """Return a new court; everything but tests asks for the mark."""
    at = _utc(now)
    root = _certified(f"{name} root", None, at, marked=marked, authority=True)
    issuer = _certified(f"{name} issuing authority", root, at, marked=marked, authority=True)
    judge = _certified(f"{name}, judge 3", issuer, at, marked=marked)
    clock_root = _certified(f"{name} clock root", None, at, marked=marked, authority=True)
    clock = _certified(f"{name} clock", clock_root, at, marked=marked, stamps=True)
    lists = tuple(revocations(each, (), at) for each in (root, issuer, clock_root))
    return Court(root, issuer, judge, clock_root, clock, lists, marked)


def revocations(
    by: Signer, revoked: Sequence[x509.Certificate], at: dt.datetime, *, since: dt.datetime | None = None
) -> x509.CertificateRevocationList:
    """Return a list of revoked certificates that is valid for `_CRL_DAYS` from `at` on."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(at - dt.timedelta(minutes=5))
        .next_update(at + dt.timedelta(days=_CRL_DAYS))
        .add_extension(_by(by), critical=False)
        .add_extension(x509.CRLNumber(int(at.timestamp())), critical=False)
    )
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(since or at).build())
    return builder.sign(by.key, hashes.SHA256())


def sign_pdf(document: bytes, court: Court, *, now: int, validated: bool = True) -> bytes:
    """Return a PDF with the judge's PAdES signature, certified so that nothing may be changed after it.

    Args:
        document: the unsigned PDF.
        court: who signs.
        now: epoch s; the time that the court's clock stamps.
        validated: with revocation data and an archive timestamp (B-LTA); else a bare timestamp (B-T).
    """
    others = SimpleCertificateStore()
    others.register_multiple([_asn1(each.certificate) for each in (court.issuer, court.root)])
    clocks = SimpleCertificateStore()
    clocks.register_multiple([_asn1(each.certificate) for each in (court.clock, court.clock_root)])
    context = ValidationContext(
        trust_roots=[_asn1(court.root.certificate), _asn1(court.clock_root.certificate)],
        other_certs=[_asn1(court.issuer.certificate), _asn1(court.clock.certificate)],
        crls=[asn1_crl.CertificateList.load(_der(each)) for each in court.lists],
        revocation_mode="hard-fail",
        allow_fetching=False,
        moment=_utc(now),
    )
    metadata = signers.PdfSignatureMetadata(
        field_name="Court",
        md_algorithm="sha256",
        subfilter=fields.SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=fields.MDPPerm.NO_CHANGES,
        embed_validation_info=validated,
        use_pades_lta=validated,
        validation_context=context if validated else None,
    )
    signer = signers.SimpleSigner(
        signing_cert=_asn1(court.judge.certificate), signing_key=_asn1_key(court.judge), cert_registry=others
    )
    clock = timestamps.DummyTimeStamper(
        _asn1(court.clock.certificate), _asn1_key(court.clock), clocks, fixed_dt=_utc(now)
    )
    out = io.BytesIO()
    with accepting(marked=court.marked):
        signers.sign_pdf(
            IncrementalPdfFileWriter(io.BytesIO(document)),
            metadata,
            signer=signer,
            timestamper=clock,
            output=out,
        )
    return out.getvalue()


def sign_json(payload: bytes, court: Court, *, now: int) -> bytes:
    """Return a JSON Web Signature (RFC 7515, flattened), with certificates and revocation values."""
    header = {
        "alg": "ES256",
        "typ": "passersby-order+jws",
        "sigT": _utc(now).isoformat(),
        "x5c": [_base64(_der(each.certificate)) for each in (court.judge, court.issuer)],
    }
    values = [{"rVals": {"crlVals": [{"val": _base64(_der(each))} for each in court.lists[:2]]}}]
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    registry.max_header_length = registry.max_payload_length = 1 << 20
    key = ECKey.import_key(_key_pem(court.judge.key))
    signed = jws.serialize_json(
        {"protected": header, "header": {"etsiU": values}}, payload, key, registry=registry
    )
    return json.dumps(signed).encode()


def _certified(
    name: str,
    by: Signer | None,
    at: dt.datetime,
    *,
    marked: bool,
    authority: bool = False,
    stamps: bool = False,
) -> Signer:
    key: Key = rsa.generate_private_key(65537, 2048) if stamps else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "TEST" if marked else "Judiciary"),
            x509.NameAttribute(NameOID.COMMON_NAME, name[:64]),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(secrets.token_bytes(16)) >> 1)
        .not_valid_before(at - dt.timedelta(days=1))
        .not_valid_after(at + dt.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(authority=authority, stamps=stamps), critical=True)
    )
    if marked:
        mark = x509.UnrecognizedExtension(x509.ObjectIdentifier(TEST_OID), TEST_VALUE)
        builder = builder.add_extension(mark, critical=True)
    if stamps:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(purpose, critical=True)
    if by is not None:
        place = x509.UniformResourceIdentifier("http://crl.test.invalid/none.crl")
        builder = builder.add_extension(_by(by), critical=False).add_extension(
            x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)]), critical=False
        )
    return Signer(builder.sign(by.key if by else key, hashes.SHA256()), key)


def _usage(*, authority: bool, stamps: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority and not stamps,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _by(signer: Signer) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())


def _signer(folder: Path, part: str) -> Signer:
    key = serialization.load_pem_private_key((folder / f"{part}.key").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("not a key of ours")  # noqa: TRY004 (caught as any other damage)
    return Signer(x509.load_pem_x509_certificate((folder / f"{part}.crt").read_bytes()), key)


def _utc(instant: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(instant, dt.UTC)


def _der(each: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    return each.public_bytes(serialization.Encoding.DER)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(_der(certificate))


def _asn1_key(signer: Signer) -> asn1_keys.PrivateKeyInfo:
    return asn1_keys.PrivateKeyInfo.load(
        signer.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
