"""Which kinds of entries a transparency report counts, under which figure, and which ones it leaves out.

A kind is counted here or by `transparency.Figures` itself, or it is in `NOT_COUNTED` with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Tree = Mapping[str, Mapping[str, str]]

NUMBERS: Tree = MappingProxyType(
    {
        "orders": {
            "verified": "order.verified",
            "fulfilled": "order.disclosed",
            "lapsed": "order.lapsed",
            "authorities_added": "authority.added",
            "authorities_retired": "authority.retired",
        },
        "licences": {"granted": "licence.granted", "revoked": "licence.revoked"},
        "questions": {"answered": "release.made", "answered_again": "release.repeated"},
        "suppliers": {
            "added": "supplier.added",
            "deliveries_stored": "delivery.stored",
            "deliveries_found_bad": "delivery.tainted",
            "deliveries_deleted": "delivery.purged",
            "consent_registers": "consent.loaded",
            "consent_samples": "consent.sampled",
        },
        "sensitive_places": {
            "lists_changed": "sensitive.loaded",
            "lists_reviewed": "sensitive.reviewed",
            "deletions": "sensitive.purged",
            "releases_withdrawn": "release.withdrawn",
        },
        "holders": {
            "erasures_proven": "subject.erased",
            "copies": "subject.copied",
            "notices_handed_over": "subject.notified",
            "deletion_lists": "subject.listed",
            "keys_enrolled": "subject.enrolled",
        },
        "incidents": {"freezes": "deployment.frozen", "thaws": "deployment.thawed"},
        "oversight": {
            "assessments_drafted": "impact.drafted",
            "assessments_approved": "impact.approved",
            "programme_reviews": "programme.reviewed",
            "audits": "audit.run",
            "cases_closed": "case.closed",
            "questions_drawn": "review.drawn",
            "alerts_closed": "alert.closed",
            "lake_assessments": "risk.assessed",
            "shown_to_auditors": "log.disclosed",
            "handed_out_records": "records.disclosed",
        },
        "people": {
            "accounts_added": "person.added",
            "accounts_ended": "person.ended",
            "keys_replaced": "person.rekeyed",
        },
        "keys": {
            "pseudonym_keys_made": "epoch.opened",
            "pseudonym_keys_destroyed": "epoch.destroyed",
            "pseudonym_keys_lost": "epoch.lost",
            "log_keys_replaced": "log.rekeyed",
            "moved_to_another_keeper": "keys.moved",
            "keeper_keys_destroyed": "keys.destroyed",
            "shares_made": "keys.shared",
            "shares_tried": "keys.tested",
            "recoveries": "keys.recovered",
        },
        "deletion": {"runs": "files.expired"},
    }
)
"""Part of the report -> figure -> kind of entry."""

BY_FIELD: Mapping[str, Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "orders": {"verified_by_court": ("order.verified", "court")},
        "questions": {"refused": ("question.refused", "code")},
        "suppliers": {
            "deliveries_refused": ("delivery.refused", "code"),
            "assessments": ("supplier.assessed", "result"),
            "suspended": ("supplier.suspended", "reason"),
            "consent_checks": ("consent.rechecked", "result"),
        },
        "holders": {"withdrawals": ("subject.withdrawn", "cause"), "shown": ("subject.shown", "how")},
        "incidents": {"alerts": ("alert.raised", "about")},
        "oversight": {
            "cases_opened": ("case.opened", "purpose"),
            "reviews": ("review.done", "result"),
            "proposals_made": ("proposal.made", "act"),
            "proposals_approved": ("proposal.approved", "act"),
            "proposals_refused": ("proposal.refused", "act"),
        },
    }
)
"""Part of the report -> figure -> kind of entry, and the public field by whose values it is counted."""

NOT_COUNTED: Mapping[str, str] = MappingProxyType(
    {
        "deployment.created": "happens once",
        "period.sealed": "follows from the deletion dates",
        "presence.derived": "follows from deliveries",
        "stays.derived": "follows from deliveries",
        "repair.done": "clears away what a command had left that was killed",
        "order.read": "a step of an order, which is counted by what became of it",
        "order.approved": "a step of an order",
        "order.held": "a step of an order",
        "order.released": "a step of an order",
        "order.packaged": "a step of an order",
        "notice.queued": "goes with each disclosure, which says whether it is delayed",
        "subject.rewritten": "a step of an erasure, which is counted when it is proven",
        "review.sampling": "a setting: which part of the answers is reviewed",
    }
)
"""Kind of entry that is in no figure of its own -> why."""
