"""What signatures are checked against, and whether a certificate leads to a root at all."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from asn1crypto import crl, x509
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, ValidationError


@dataclass(frozen=True)
class Trust:
    """What signatures are checked against.

    Args:
        roots: roots of the court that the order names.
        clocks: roots of timestamp authorities.
        lists: newer lists of revoked certificates, if the custodian fetched some.
        moment: the time of the check, epoch s.
    """

    roots: Sequence[x509.Certificate]
    clocks: Sequence[x509.Certificate]
    lists: Sequence[crl.CertificateList]
    moment: int


@dataclass(frozen=True)
class Signed:
    """What a document's signatures cover: the JSON, and each signer's own certificate."""

    payload: bytes
    signers: tuple[x509.Certificate, ...]


def leads(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    trust: Trust,
    *,
    lists: Sequence[crl.CertificateList] | None = None,
) -> bool:
    """Return whether a valid path for signing leads from a certificate to one of the roots, offline.

    Args:
        certificate: the signer's own.
        others: certificates that may lie between.
        trust: the roots and the time.
        lists: with these lists of revoked certificates, each of which must be there and current; None:
            whatever was revoked.
    """
    context = ValidationContext(
        trust_roots=list(trust.roots),
        other_certs=list(others),
        crls=[*lists, *trust.lists] if lists is not None else [],
        revocation_mode="soft-fail" if lists is None else "require",
        allow_fetching=False,
        moment=dt.datetime.fromtimestamp(trust.moment, dt.UTC),
    )
    validator = CertificateValidator(certificate, validation_context=context)
    try:
        asyncio.run(validator.async_validate_usage({"digital_signature"}))
    except (PathBuildingError, ValidationError):
        return False
    return True
