"""Which kinds of entries the log knows, and which of their fields are public.

A kind is never removed and its fields never change their meaning: old entries must stay readable. A new
public field is a decision about privacy. It must be safe to print, for ever, for everyone: how many files
there are, and of which days, follows from single devices, and is a commitment.

A hidden field can be shown to an auditor (`log disclose`): what names a device stands in no entry, not even
hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "deployment.created": ("origin", "demo", "verifier_key"),
        "person.added": ("person", "roles", "public_key"),
        "supplier.added": ("supplier", "basis", "contract_sha256"),
        "supplier.assessed": ("supplier", "result", "next_due"),
        "supplier.suspended": ("supplier", "reason"),
        "impact.approved": ("record_sha256", "approved_by", "next_due"),
        "licence.granted": (
            "licence",
            "holder",
            "purposes",
            "measures",
            "resolution",
            "expires",
            "record_sha256",
            "granted_by",
        ),
        "licence.revoked": ("licence", "by"),
        "consent.loaded": ("supplier", "version"),
        "sensitive.loaded": ("list", "version", "owner"),
        "epoch.opened": ("key", "first_period"),
        "epoch.destroyed": ("key",),
        "delivery.stored": ("delivery", "supplier"),
        "delivery.refused": ("supplier", "code"),
        "presence.derived": (),
        "stays.derived": (),
        "files.expired": ("tables",),
        "period.sealed": (),
        "repair.done": ("what",),
        "question.refused": ("code", "measure", "licence"),
        "question.reserved": ("question", "licence", "periods", "micro_rho"),
        "release.made": (
            "release",
            "question",
            "measure",
            "licence",
            "periods",
            "micro_rho",
            "epsilon",
            "delta",
            "rows_sha256",
            "label_sha256",
        ),
        "release.repeated": ("release", "licence"),
        "witnesses.changed": ("witnesses", "quorum"),
        "log.disclosed": ("entry", "by"),
        "proposal.made": ("proposal", "act", "subject", "by", "record_sha256"),
        "proposal.approved": ("proposal", "act", "subject", "by", "acts_from"),
        "proposal.refused": ("proposal", "act", "subject", "by"),
        "act.refused": ("act", "code"),
        "keys.moved": ("keeper", "before", "by"),
        "keys.destroyed": ("keeper",),
        "keys.shared": ("shares", "needed", "by"),
        "keys.tested": ("by",),
        "keys.recovered": ("keeper", "by"),
        "epoch.lost": ("key", "by"),
        "log.rekeyed": ("old_key", "new_key", "old_signature", "new_signature", "by"),
        "sensitive.purged": ("purge",),
        "sensitive.reviewed": ("list", "version", "by", "next_due"),
        "sensitive.tested": ("passed", "next_due"),
        "release.withdrawn": ("release",),
        "authority.added": (
            "authority",
            "use",
            "title",
            "jurisdiction",
            "source",
            "revocation",
            "certificate_sha256",
            "valid_from",
            "valid_until",
            "acts_from",
            "test",
        ),
        "authority.retired": ("authority", "by"),
        "order.refused": ("code", "stage", "order"),
        "order.verified": ("order", "court", "jurisdiction", "form"),
        "order.read": ("order", "by"),
        "order.approved": ("order", "role", "by"),
        "order.held": ("order",),
        "order.released": ("order", "court", "by"),
        "order.disclosed": ("order", "notice_delayed"),
        "order.packaged": ("order", "by"),
        "order.lapsed": ("order",),
        "notice.queued": ("order", "delayed"),
        "delivery.tainted": ("delivery", "supplier", "proposal"),
        "delivery.purged": ("delivery",),
        "consent.sampled": ("supplier", "register"),
        "consent.rechecked": ("supplier", "result", "next_due"),
    }
)
"""Kind of entry -> names of its public fields. Every other field is a salted commitment."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "deployment.created": "The installation was set up: its name, its demo mark, its verifier key.",
        "person.added": "A person got an account and enrolled a signing key.",
        "supplier.added": "A supplier was recorded with its contract and legal basis.",
        "supplier.assessed": "A supplier was assessed.",
        "supplier.suspended": "No further delivery of this supplier is taken.",
        "impact.approved": "The impact assessment of the deployment was approved.",
        "licence.granted": "An organisation may ask questions for stated purposes.",
        "licence.revoked": "A licence ended before its date.",
        "consent.loaded": "A new version of a supplier's consent records is in use.",
        "sensitive.loaded": "A new version of a list of sensitive places is in use.",
        "epoch.opened": "A pseudonym key was made.",
        "epoch.destroyed": "A pseudonym key was destroyed; its pseudonyms cannot be made again.",
        "delivery.stored": "A delivery of pings was stored, whole.",
        "delivery.refused": "A delivery was refused; nothing of it was stored.",
        "presence.derived": "Presence of some days was computed again.",
        "stays.derived": "Stays and trips of some days were computed again.",
        "files.expired": "Files that reached their deletion date were removed.",
        "period.sealed": "Days lost a source to its deletion date and take no more pings.",
        "repair.done": "What an interrupted command had left was cleared away.",
        "question.refused": "A question was refused, with the code of the reason.",
        "question.reserved": "Privacy budget was spent on a question, before anything was read.",
        "release.made": "A noisy answer was stored and left through the gate.",
        "release.repeated": "A stored answer was given again; it costs nothing.",
        "witnesses.changed": "Whose signatures this log asks for: verifier keys, and how many must sign.",
        "log.disclosed": "Hidden fields of an entry were shown to an auditor, by this person.",
        "proposal.made": "A person proposed an act that takes two.",
        "proposal.approved": "A second person signed a proposal; it acts from the time stated.",
        "proposal.refused": "A proposal was refused or taken back; it never acts.",
        "act.refused": "A person tried what their role or a rule does not allow.",
        "keys.moved": "All keys were wrapped with a new key-encryption key; its keeper, and the one before.",
        "keys.destroyed": "A key-encryption key that is not in use was destroyed by its keeper.",
        "keys.shared": "A recovery key was made and split into shares; older shares open nothing any more.",
        "keys.tested": "Shares were tried: they open every key.",
        "keys.recovered": "Shares opened the keys, which were wrapped with a new key-encryption key.",
        "epoch.lost": "A pseudonym key that does not open any more was given up, with all rows under it.",
        "log.rekeyed": "The log's key was replaced; both keys signed the change.",
        "sensitive.purged": "What was stored at sensitive places, or revealed them, left the lake.",
        "sensitive.reviewed": "A person read a list of sensitive places again and signed that it is right.",
        "sensitive.tested": "Tracks were planted at each sensitive place to see whether anything is stored.",
        "release.withdrawn": "A stored answer is not given again: see the list or delivery entry before it.",
        "authority.added": "Two people added a court or a timestamp authority; it acts from the time stated.",
        "authority.retired": "An authority is not relied on any more.",
        "order.refused": "A court order was refused, with the code of the reason and at which step.",
        "order.verified": "A court order passed every check; from here on its exact scope is held.",
        "order.read": "A person who decides on an order read its document.",
        "order.approved": "A person approved an order, with a signature over its document's hash.",
        "order.held": "Data left the lake; an open order's exact scope of it was kept, for that order only.",
        "order.released": "A third person began to carry an order out; nothing had been looked up before.",
        "order.disclosed": "An order's result was sealed to its recipient. Nothing found is sealed as well.",
        "order.packaged": "The sealed result of an order was written to a file again.",
        "order.lapsed": "An order's time passed before it was carried out; what was held for it is deleted.",
        "notice.queued": "Notices to the holders of an order's devices were queued.",
        "delivery.tainted": "Two people found a delivery bad; what was made of it is withdrawn.",
        "delivery.purged": "All rows of a bad delivery, and what was derived from them, left the lake.",
        "consent.sampled": "Records of a consent register were drawn by chance, to be followed back.",
        "consent.rechecked": "A person followed drawn consent records back and signed what was found.",
    }
)
"""Kind of entry -> one sentence for a reader of the log."""


def reference_table() -> str:
    """Return the table of kinds and public fields in Markdown, as docs/reference/log-format.md shows it."""
    rows = [
        f"| `{kind}` | {', '.join(f'`{field}`' for field in public)} | {MEANINGS[kind]} |"
        for kind, public in KINDS.items()
    ]
    return "\n".join(["| kind | public fields | what happened |", "|---|---|---|", *rows]) + "\n"
