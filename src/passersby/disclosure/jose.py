"""Verifies an order that is signed JSON: a JSON Web Signature (RFC 7515) in its flattened form.

    1 read       one signature by a listed algorithm, certificates in the protected header (`x5c`)
    2 verify     the signature, by the first certificate's key
    3 chain      to an acting root; revocation data required, as JAdES carries it: ETSI TS 119 182-1,
                 `etsiU`, `rVals`, `crlVals`

There is no timestamp in it: it is valid as long as its certificates and their lists are.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from asn1crypto import crl, x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_der_x509_certificate
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from passersby.disclosure.chains import Signed, Trust, leads
from passersby.disclosure.order import LONGEST
from passersby.policy.refusals import refusal

_KEYS: dict[str, type[ECKey | RSAKey | OKPKey]] = {
    "ES256": ECKey,
    "ES384": ECKey,
    "ES512": ECKey,
    "PS256": RSAKey,
    "PS512": RSAKey,
    "Ed25519": OKPKey,
}
"""Algorithms that are taken, each with its kind of key: none that takes a shared secret."""

_MOST = 10
"""Most certificates, and most lists, in one document."""


class JoseDocument:
    """Signed JSON whose signature fits its first certificate (steps 1 and 2); its chain is not checked yet.

    Raises:
        Refusal: NotMachineVerifiable or SignatureInvalid.
    """

    def __init__(self, document: bytes) -> None:
        # 1 read
        try:
            whole = json.loads(document)
            header = json.loads(_decoded(whole["protected"]))
            chain = [x509.Certificate.load(_decoded(each)) for each in header["x5c"]]
            self._lists = _lists(whole.get("header", {}))
            algorithm = header["alg"]
            key = _key(algorithm, chain[0])
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, JoseError):
            raise refusal("NotMachineVerifiable") from None
        if "crit" in header or len(chain) > _MOST or len(self._lists) > _MOST:
            raise refusal("NotMachineVerifiable")
        # 2 verify
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        registry.max_header_length = registry.max_payload_length = LONGEST
        registry.max_signature_length = LONGEST
        try:
            found = jws.deserialize_json(whole, key, registry=registry)
        except (ValueError, TypeError, KeyError, JoseError):
            raise refusal("SignatureInvalid") from None
        self._others = chain[1:]
        self.signed = Signed(found.payload or b"", (chain[0],))

    def verify(self, trust: Trust) -> None:
        """Check the chain (step 3).

        Raises:
            Refusal: SignatureInvalid, or InvalidIssuingAuthority where no chain leads to the roots.
        """
        (signer,) = self.signed.signers
        if not leads(signer, self._others, trust):
            raise refusal("InvalidIssuingAuthority")
        if not leads(signer, self._others, trust, lists=self._lists):
            raise refusal("SignatureInvalid")


def _key(algorithm: str, certificate: x509.Certificate) -> ECKey | RSAKey | OKPKey:
    public = load_der_x509_certificate(certificate.dump()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _KEYS[algorithm].import_key(pem)


def _lists(header: Any) -> list[crl.CertificateList]:  # noqa: ANN401 (JSON)
    return [
        crl.CertificateList.load(_decoded(each["val"]))
        for part in header.get("etsiU", ())
        for each in part.get("rVals", {}).get("crlVals", ())
    ]


def _decoded(text: str) -> bytes:
    """Return the bytes of base64 or base64url text, padded or not."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise ValueError("no base64") from None
