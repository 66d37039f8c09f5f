"""The texts of refusals of court orders. The codes are those of the order's own vocabulary."""

from __future__ import annotations

_COURT = "Ask the court for another order; docs/how-to/answer-a-court-order.md says what one must hold."

ORDERS: dict[str, tuple[str, str]] = {
    "NotMachineVerifiable": (
        "The document is not a signed PDF with an order in it, or signed JSON.",
        "Paper and scans cannot be verified here; ask the court for one of the two forms.",
    ),
    "Incomplete": (
        (
            "The order lacks a field, has one that is unknown or wrong, is addressed to another deployment, "
            "or its page shows something else than its JSON."
        ),
        "docs/reference/order.md lists the fields; `passersby order new` writes an order that is complete.",
    ),
    "NotJudicial": (
        "The order is not a court's: administrative warrants and subpoenas of agencies are refused.",
        "Ask for a judge's order; no path exists without one, in an emergency neither.",
    ),
    "ReverseSearchRefused": (
        "The order asks which devices were somewhere: there is no function from an area to devices.",
        "Such a search is never carried out. This request was logged and is counted.",
    ),
    "NoNamedDevice": (
        "The order names no device by its advertising id.",
        "It must list raw advertising ids: no pseudonyms, no patterns, no persons.",
    ),
    "ScopeTooBroad": ("The order names more devices or days than one order may.", _COURT),
    "WindowOpen": (
        "The order's window has not ended: nobody is followed live.",
        "Submit it once the window is over.",
    ),
    "Expired": ("The order is not in force now.", _COURT),
    "InvalidIssuingAuthority": (
        (
            "The court is not registered here, does not act yet or any more, sits in another jurisdiction, "
            "or did not sign this order."
        ),
        "`passersby court list` shows the registry; two people add a court, and it acts after 7 days.",
    ),
    "SignatureInvalid": (
        (
            "A signature does not hold: the document was changed, its signer was revoked, or the data that "
            "shows that nobody was revoked is missing or out of date."
        ),
        "Ask the court for the document again, signed with its validation data (PAdES-B-LTA).",
    ),
    "AlreadyUsed": (
        "This order, or one of the same court and reference, was submitted or carried out before.",
        (
            "An order works once; `passersby order list` shows it. Its sealed package can be written again "
            "with `passersby order package`."
        ),
    ),
    "ConflictOfLaw": (
        "A person found that another law forbids to carry the order out.",
        "The reason is on record; the court can be told the code.",
    ),
    "NotApproved": (
        "The order is not approved by two people, one with the role legal and one with the role privacy.",
        "Both run `passersby order approve`, each with their own key.",
    ),
    "SamePersonTwice": (
        "One person acts once on an order.",
        "Ask another person; `passersby order show` says who acted.",
    ),
    "TwoRolesInOneHand": (
        (
            "Your account has two of the roles legal, privacy and releaser: for orders they must be in three "
            "hands."
        ),
        "Ask a person who has one of them only; `passersby person list` shows everyone's roles.",
    ),
}
"""Codes of court orders, in the order of the checks."""
