"""Verifies a PAdES-signed PDF order and takes the scope from what was signed, not from what is shown last.

    1 read       a PDF with at least one signature
    2 scope      the attachment and the page of each signed revision: one and the same JSON, and its own page
    3 verify     each signature by ETSI EN 319 102-1 (PAdES with archive data), at a stated time, offline:
                 intact, chain to an acting root, revocation data required, and nothing but timestamps and
                 their data after the last one

An incremental update that swaps the device list leaves the signature intact and, in common viewers,
trusted. Steps 2 and 3 are what finds it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from collections.abc import Sequence

from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation.ades import ades_lta_validation
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.policy_decl import (
    CertificateFetchingRule,
    LocalKnowledge,
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import CRLContainer

from passersby.disclosure import page
from passersby.disclosure.chains import Signed, Trust, leads
from passersby.policy.refusals import refusal

_REQUIRED = RevocationCheckingRule.CRL_OR_OCSP_REQUIRED


class PadesDocument:
    """A signed PDF that was read (steps 1 and 2) and not verified yet.

    Raises:
        Refusal: NotMachineVerifiable, SignatureInvalid or Incomplete.
    """

    def __init__(self, document: bytes) -> None:
        reader = PdfFileReader(io.BytesIO(document))
        # 1 read
        self._signatures = [
            each for each in reader.embedded_signatures if each.sig_object_type != "/DocTimeStamp"
        ]
        if not self._signatures:
            raise refusal("NotMachineVerifiable")
        # 2 scope
        payloads = [_payload(reader, each) for each in self._signatures]
        if len(set(payloads)) != 1:
            raise refusal("SignatureInvalid")
        self.signed = Signed(payloads[0], tuple(each.signer_cert for each in self._signatures))

    def verify(self, trust: Trust) -> None:
        """Check every signature (step 3).

        Raises:
            Refusal: SignatureInvalid, or InvalidIssuingAuthority where no chain leads to the roots.
        """
        specification = _specification(trust)
        at = dt.datetime.fromtimestamp(trust.moment, dt.UTC)
        timing = ValidationTimingInfo(at, at, point_in_time_validation=False)
        for signature in self._signatures:
            if not leads(signature.signer_cert, signature.other_embedded_certs, trust):
                raise refusal("InvalidIssuingAuthority")
        for number, signature in enumerate(self._signatures, 1):
            found = asyncio.run(ades_lta_validation(signature, specification, timing))
            status = found.api_status
            if found.ades_subindic is not AdESPassed.OK or status is None or not status.bottom_line:
                raise refusal("SignatureInvalid")
            allowed = ModificationLevel.LTA_UPDATES
            if number < len(self._signatures):
                allowed = ModificationLevel.FORM_FILLING
            if status.modification_level is None or status.modification_level > allowed:
                raise refusal("SignatureInvalid")


def _payload(reader: PdfFileReader, signature: EmbeddedPdfSignature) -> bytes:
    """Return the JSON of the revision that a signature covers, once its page shows the same."""
    root = reader.get_historical_root(signature.signed_revision)
    payload = page.attachment(root)
    if not page.shows(root, payload):
        raise refusal("Incomplete")
    return payload


def _specification(trust: Trust) -> PdfSignatureValidationSpec:
    return PdfSignatureValidationSpec(
        SignatureValidationSpec(
            cert_validation_policy=_policy(trust.roots),
            ts_cert_validation_policy=_policy(trust.clocks),
            revinfo_gathering_policy=RevocationInfoGatheringSpec(
                RevinfoOnlineFetchingRule.LOCAL_ONLY,
                certificate_fetching_rule=CertificateFetchingRule.NEVER_FETCH,
            ),
            local_knowledge=LocalKnowledge(known_crls=[CRLContainer(each) for each in trust.lists]),
        )
    )


def _policy(roots: Sequence[x509.Certificate]) -> CertValidationPolicySpec:
    return CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build(trust_roots=list(roots)),
        revinfo_policy=CertRevTrustPolicy(RevocationCheckingPolicy(_REQUIRED, _REQUIRED)),
    )
