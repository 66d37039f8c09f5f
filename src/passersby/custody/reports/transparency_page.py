"""The transparency report for people: the figures of `transparency`, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passersby.custody.reports.reading import Days
from passersby.render.report import Fact, Report, Section, Table, known, not_told
from passersby.trustlog.heads import ALONE

NOTE = (
    "Made from the public fields of the log alone: whoever has the log and its verifier key makes the same "
    "figures with `passersby report transparency --log`. They count entries of the days stated, first and "
    "last included. A log shows what went through the software that wrote it, not what went past it."
)


def page(made: Mapping[str, Any]) -> Report:
    """Return what `transparency.data` gave, for people."""
    public, missing, days = made["public"], made["not_told"], Days.parse(made["from"], made["to"])
    return Report(
        f"Transparency report: {made['log']['origin']}",
        days.text,
        NOTE,
        (
            _orders(public, missing, made["operator"]),
            _searches(public["reverse_searches"]),
            _licences(public["licences"]),
            _questions(public),
            _suppliers(public["suppliers"]),
            _places(public["sensitive_places"]),
            _holders(public["holders"], missing, made["operator"]),
            _incidents(public["incidents"], missing),
            _oversight(public),
            _log(public, made["log"]),
        ),
    )


def _orders(
    public: Mapping[str, Any], missing: Mapping[str, str], operator: Mapping[str, Any] | None
) -> Section:
    orders = public["orders"]
    return Section(
        "Court orders",
        (
            _count("Received", orders["received"]),
            _count("Passed every check", orders["verified"]),
            _count("Refused", sum(orders["refused"].values())),
            not_told("Narrowed", missing["orders_narrowed"]),
            _count("Fulfilled", orders["fulfilled"]),
            _count("Lapsed before they were carried out", orders["lapsed"]),
            _count("Courts and timestamp authorities added", orders["authorities_added"]),
            _count("Of these not relied on any more", orders["authorities_retired"]),
            _count("Notices delayed by an order", public["notices"]["delayed"]),
            not_told("Devices disclosed", missing["devices_disclosed"]),
            *_operator(operator),
        ),
        tables=(
            _table("Refused orders", "code", orders["refused"]),
            _table("Orders that passed, by court", "court", orders["verified_by_court"]),
            _table("What people tried with an order and were refused", "code", orders["acts_refused"]),
        ),
    )


def _operator(operator: Mapping[str, Any] | None) -> tuple[Fact, ...]:
    if operator is None:
        return ()
    entries = ", ".join(map(str, operator["entries"])) or "none"
    return (
        known(
            "Devices named in fulfilled orders",
            f"{operator['devices_named']:,}, as the operator states from hidden fields of the log; an "
            f"auditor can be shown them (`passersby log disclose`, entries: {entries})",
            operator["devices_named"],
        ),
    )


def _searches(searches: Mapping[str, int]) -> Section:
    return Section(
        "Searches for who was somewhere",
        (
            _count("Orders for a reverse search received", searches["received"]),
            _count("Of these refused", searches["refused"]),
            _count("Questions for devices refused", searches["questions_for_devices_refused"]),
            known("Carried out", "none can be: no function leads from an area to devices", 0),
        ),
    )


def _licences(licences: Mapping[str, Any]) -> Section:
    unsaid = licences["in_force_of_unknown_kind"]
    facts = [
        _count("Granted", licences["granted"]),
        _count("Revoked", licences["revoked"]),
        _count("In force on the last day", licences["in_force"]),
        _count("Of these held by public bodies", licences["in_force_government"]),
    ]
    if unsaid:
        facts.append(not_told("Public body or not", f"entries of {unsaid:,} licence(s) do not say"))
    return Section(
        "Licences",
        tuple(facts),
        tables=(_table("In force by purpose", "purpose", licences["in_force_by_purpose"], "licences"),),
    )


def _questions(public: Mapping[str, Any]) -> Section:
    questions, privacy = public["questions"], public["privacy"]
    rows = tuple(
        (week, f"{cost['micro_rho']:,}", "not told" if cost["epsilon"] is None else f"{cost['epsilon']:.2f}")
        for week, cost in privacy["weeks"].items()
    )
    delta = privacy["delta"]
    stated = (
        not_told("Delta", "no answer was given that states one")
        if delta is None
        else known("Delta", f"{delta:g}: at which every epsilon is stated", delta)
    )
    return Section(
        "Questions, answers and privacy spent",
        (
            _count("Answers made", questions["answered"]),
            _count("Stored answers given again, free", questions["answered_again"]),
            _count("Questions refused", sum(questions["refused"].values())),
            stated,
        ),
        tables=(
            _table("Refused questions", "code", questions["refused"], "questions"),
            Table(
                "Spent in these days, for one device in the week asked about",
                ("week", "micro-rho", "epsilon"),
                rows,
            ),
        ),
    )


def _suppliers(suppliers: Mapping[str, Any]) -> Section:
    return Section(
        "Suppliers",
        (
            _count("Added", suppliers["added"]),
            _count("Deliveries stored", suppliers["deliveries_stored"]),
            _count("Deliveries refused", sum(suppliers["deliveries_refused"].values())),
            _count("Deliveries found bad", suppliers["deliveries_found_bad"]),
            _count("Of bad deliveries all rows deleted", suppliers["deliveries_deleted"]),
            _count("Suspensions", sum(suppliers["suspended"].values())),
            _count("New consent registers", suppliers["consent_registers"]),
            _count("Samples of consent records drawn", suppliers["consent_samples"]),
        ),
        tables=(
            _table("Refused deliveries", "code", suppliers["deliveries_refused"], "deliveries"),
            _table("Assessments", "result", suppliers["assessments"], "assessments"),
            _table(
                "Samples of consent records followed back", "result", suppliers["consent_checks"], "samples"
            ),
            _table("Suspensions", "reason", suppliers["suspended"], "suspensions"),
        ),
    )


def _places(places: Mapping[str, Any]) -> Section:
    return Section(
        "Sensitive places",
        (
            _count("Changes of lists", places["lists_changed"]),
            _count("Reviews of lists", places["lists_reviewed"]),
            _count("Deletions of what lay at them", places["deletions"]),
            _count("Tests that nothing is stored there: passed", places["tests"].get("passed", 0)),
            _count("Tests: failed", places["tests"].get("failed", 0)),
            _count("Answers withdrawn from service", places["releases_withdrawn"]),
        ),
    )


def _holders(
    holders: Mapping[str, Any], missing: Mapping[str, str], operator: Mapping[str, Any] | None
) -> Section:
    took, waited = not_told("How long requests took", missing["request_days"]), tuple[Table, ...]()
    if operator is not None:
        took = known("How long requests took", "below, as the operator states; no outsider can check it")
        waited = (_waited(operator["requests"]),)
    return Section(
        "Holders of phones",
        (
            _count("Withdrawals", sum(holders["withdrawals"].values())),
            _count("Erasures proven", holders["erasures_proven"]),
            _count(
                "Times that a holder was shown what is held, or who received it",
                sum(holders["shown"].values()),
            ),
            _count("Copies of pings given", holders["copies"]),
            _count("Times that notices were handed over to be shown", holders["notices_handed_over"]),
            _count("Deletion lists", holders["deletion_lists"]),
            _count("Enrolments of keys that prove holders", holders["keys_enrolled"]),
            took,
        ),
        tables=(
            _table(
                "Withdrawals, each of one or many devices", "cause", holders["withdrawals"], "withdrawals"
            ),
            _table("Shown", "proof of the holder", holders["shown"], "times"),
            *waited,
        ),
    )


def _waited(requests: Mapping[str, Any]) -> Table:
    rows = tuple(
        (what, f"{each['answered']:,}", f"{each['median_days']:.1f}", f"{each['late']:,}")
        for what, each in requests.items()
    )
    return Table("Requests answered", ("request", "answered", "median days", "late"), rows)


def _incidents(incidents: Mapping[str, Any], missing: Mapping[str, str]) -> Section:
    return Section(
        "Incidents",
        (
            _count("Times that the deployment was frozen", incidents["freezes"]),
            _count("Freezes that two people ended", incidents["thaws"]),
            _count("Alerts", sum(incidents["alerts"].values())),
            not_told("Other incidents", missing["other_incidents"]),
        ),
        tables=(
            _table("Alerts, at most one a day of a kind and account", "about", incidents["alerts"], "alerts"),
        ),
    )


def _oversight(public: Mapping[str, Any]) -> Section:
    oversight, people = public["oversight"], public["people"]
    return Section(
        "Oversight and the operator's people",
        (
            _count("Drafts of the impact assessment", oversight["assessments_drafted"]),
            _count("Impact assessments approved", oversight["assessments_approved"]),
            _count("Reviews of the whole programme", oversight["programme_reviews"]),
            _count("Audits of the privacy that is claimed", oversight["audits"]),
            _count("Cases opened", sum(oversight["cases_opened"].values())),
            _count("Cases closed", oversight["cases_closed"]),
            _count("Answers drawn for a review", oversight["questions_drawn"]),
            _count("Alerts closed", oversight["alerts_closed"]),
            _count("Entries shown to an auditor", oversight["shown_to_auditors"]),
            _count("Records of a licensee handed out", oversight["handed_out_records"]),
            _count("Accounts added", people["accounts_added"]),
            _count("Accounts ended", people["accounts_ended"]),
            _count("Lost keys replaced", people["keys_replaced"]),
            _count("Deletions of what reached its date", public["deletion"]["runs"]),
        ),
        tables=(
            _table("Cases opened", "purpose", oversight["cases_opened"], "cases"),
            _table("Reviews done", "result", oversight["reviews"], "reviews"),
            _table("Acts of two people: proposed", "act", oversight["proposals_made"], "proposals"),
            _table("Acts of two people: approved", "act", oversight["proposals_approved"], "proposals"),
            _table("Acts of two people: refused", "act", oversight["proposals_refused"], "proposals"),
        ),
    )


def _log(public: Mapping[str, Any], head: Mapping[str, Any]) -> Section:
    log, keys = public["log"], public["keys"]
    watched = known("Outside witnesses", ALONE, 0)
    if log["witness_quorum"]:
        watched = known(
            "Outside witnesses",
            f"{log['witness_quorum']} of {log['witnesses']} must sign this log, as the operator declared; "
            "who wants to know asks them",
            log["witness_quorum"],
        )
    return Section(
        "The log and its keys",
        (
            _count("Entries of these days", log["entries"]),
            known("Made from", f"the first {head['size']:,} entries, root {head['root']}"),
            watched,
            _count("Pseudonym keys made", keys["pseudonym_keys_made"]),
            _count("Pseudonym keys destroyed", keys["pseudonym_keys_destroyed"]),
            _count("Pseudonym keys lost, with all rows under them", keys["pseudonym_keys_lost"]),
            _count("Keys of the log replaced", keys["log_keys_replaced"]),
            _count("Changes of the key that wraps the others", keys["moved_to_another_keeper"]),
            _count("Keys of keepers destroyed", keys["keeper_keys_destroyed"]),
            _count("Times that recovery shares were made", keys["shares_made"]),
            _count("Times that recovery shares were tried", keys["shares_tried"]),
            _count("Recoveries by shares", keys["recoveries"]),
            _count("Acts of the operator's people refused", sum(public["acts_refused"].values())),
        ),
        tables=(
            _table("Refused acts", "code", public["acts_refused"]),
            _table("Entries that this version does not know", "kind", log["unknown_kinds"], "entries"),
        ),
    )


def _count(name: str, number: int) -> Fact:
    return known(name, f"{number:,}", number)


def _table(title: str, column: str, counted: Mapping[str, int], what: str = "number") -> Table:
    rows = tuple((name or "(no name)", f"{number:,}") for name, number in counted.items())
    return Table(title, (column, what), rows)
