"""The critical mark of test courts, which only deployments that were made with `--demo` accept.

A certificate with a critical extension that a verifier does not know is void (RFC 5280 section 4.2), so that
no verifier in the world takes a test court for a court. Demo deployments alone are told to know this one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from asn1crypto import x509
from pyhanko_certvalidator import validate

TEST_OID = "2.25.126036618864054754438285484767846241099"
"""Object identifier of the mark (ITU-T X.667: made from a random UUID, registered nowhere)."""

TEST_VALUE = b"\x0c\x04TEST"
"""Its value: the text TEST in DER."""

for _name in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # their words quote documents and certificates

_ALONE = threading.Lock()


def is_marked(certificate: x509.Certificate) -> bool:
    """Return whether a certificate carries the mark, critical or not."""
    return any(each["extn_id"].dotted == TEST_OID for each in certificate["tbs_certificate"]["extensions"])


@contextmanager
def accepting(*, marked: bool) -> Iterator[None]:
    """Validate paths in this block; of certificates with the mark only if `marked`.

    The set of known extensions is the library's own, one for the process: whoever validates takes turns.
    """
    with _ALONE:
        known = validate.SUPPORTED_EXTENSIONS
        validate.SUPPORTED_EXTENSIONS = known | {TEST_OID} if marked else known
        try:
            yield
        finally:
            validate.SUPPORTED_EXTENSIONS = known
