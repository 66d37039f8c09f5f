"""The record of processing activities and a draft of the impact assessment, filled from what is registered.

Controls K2 (GDPR article 30) and K3 (article 35(7)). What only a person can say is left to be written.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.custody.reports import controls
from passersby.model.period import day_name, instant_text
from passersby.policy import impact
from passersby.policy import licence as licences
from passersby.render.report import Fact, Report, Section, Table, known, to_write
from passersby.suppliers import registry

_NOTE = (
    "Filled from the settings and from signed records, whose hashes are in the log. What is to be written, "
    "only a person can say. Designed to help to meet the article; not legal advice."
)

_DATA = (
    "pseudonym of an advertising id (keyed hash), position to 1e-5 degrees, instant, accuracy; consent "
    "records by keyed hash. Pseudonymised data is personal data still"
)

_RISKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("A person is singled out in an answer", ("G1", "J3", "J4", "D1", "C6")),
    ("Visits to sensitive places become known", ("C1", "C2", "C3", "C4", "C5")),
    ("Someone inside follows a person or looks them up", ("H2", "H3", "H8", "I2", "I5")),
    ("An authority gets more than a judge ordered", ("H1", "H3", "H4", "H5", "H6")),
    ("Data is kept longer than it is needed", ("E1", "E2", "E4")),
    ("Data is used that nobody consented to, or after they withdrew", ("A1", "A2", "A4", "B3", "F1", "F2")),
    ("A recipient identifies people again or hands data on", ("G2", "G3", "C7", "H7")),
    ("Records of what was done are changed", ("I5", "I6", "E4")),
)
"""Risk to the people in the data -> controls against it."""


def record(session: Session, config: Config, *, now: int) -> Report:
    """Return the record of processing activities (GDPR article 30(1)).

    Args:
        session: a read of the control database.
        config: settings of the deployment.
        now: epoch s.

    Raises:
        IntegrityError: a record is not the one that was signed.
    """
    suppliers, granted = _suppliers(session), _licences(session, now)
    return Report(
        "Record of processing activities",
        f"{config.name}, {instant_text(now, 0)[:10]}; GDPR article 30(1)",
        _NOTE,
        (
            Section(
                "(a) Who is responsible",
                (
                    known("Deployment", config.name),
                    to_write("Controller", "name and contact details"),
                    to_write("Representative and joint controllers", "if there are any"),
                    to_write("Data protection officer", "name and contact details"),
                ),
            ),
            Section("(b) Purposes", _purposes(session)),
            Section(
                "(c) Whose data, and which",
                (
                    known("Data subjects", "holders of phones whose apps pass positions to the suppliers"),
                    known("Categories of data", _DATA),
                ),
                tables=(suppliers,),
            ),
            Section(
                "(d) Recipients",
                (
                    known(
                        "Of rows about devices", "courts, for devices that a judge's order names; nobody else"
                    ),
                    known("Of noisy statistics", "the licensees below"),
                ),
                tables=(granted,),
            ),
            Section("(e) Transfers", (to_write("Third countries", "which, and under which safeguards"),)),
            Section("(f) Time limits for erasure", _limits(config), tables=(_terms(session),)),
            Section(
                "(g) Security measures",
                (to_write("Organisation", "who has access to hosts, backups and keys"),),
                tables=(_controls(controls.ENFORCED), _controls(controls.RECORDED)),
            ),
        ),
    )


def assessment(session: Session, config: Config, *, now: int) -> Report:
    """Return a draft of the impact assessment (GDPR article 35(7)). See `record` for the rest."""
    return Report(
        "Impact assessment (DPIA): draft",
        f"{config.name}, {instant_text(now, 0)[:10]}; GDPR article 35(7)",
        _NOTE + " A person with the role privacy approves it in short (`passersby impact approve`).",
        (
            Section("What was approved last", _approved(session)),
            Section(
                "(a) Systematic description",
                (
                    known("What happens", "pings become presence, stays and trips; noisy statistics leave"),
                    known("Categories of data", _DATA),
                    *_purposes(session),
                    *_limits(config),
                    to_write("Interests pursued", "why, and for whom"),
                ),
                tables=(_suppliers(session), _licences(session, now)),
            ),
            Section(
                "(b) Necessity and proportionality",
                (
                    known(
                        "Cap for a device and week",
                        f"epsilon {config.epsilon_cap:g} at delta {config.delta:g}",
                    ),
                    known(
                        "Finest cells", f"H3 resolution {config.finest_resolution}", config.finest_resolution
                    ),
                    known("Floor", f"{config.minimum_devices} devices", config.minimum_devices),
                    to_write("Necessity", "why the purposes need these data, and why less would not do"),
                    to_write("Views of the people in the data", "who was asked, and what they said"),
                ),
            ),
            Section(
                "(c) Risks to the people in the data",
                (to_write("Likelihood and severity", "of each risk, in this deployment"),),
                tables=(_risks(),),
            ),
            Section(
                "(d) Measures",
                (to_write("Residual risk", "what is left, and who accepts it"),),
                tables=tuple(_controls(kind) for kind in controls.CLASSES),
            ),
        ),
    )


def _purposes(session: Session) -> tuple[Fact, ...]:
    noticed = sorted({p for each in registry.list_all(session) for p in each.contract.purposes})
    licensed = sorted({p for each in licences.list_all(session) for p in each.licence.purposes})
    return (
        known("Purposes in the notices to the people", ", ".join(noticed) or "none yet", noticed),
        known("Purposes of the licences", ", ".join(licensed) or "none yet", licensed),
    )


def _suppliers(session: Session) -> Table:
    rows = tuple(
        (
            each.contract.id,
            each.contract.name,
            each.contract.jurisdiction,
            each.contract.collection_method,
            each.contract.basis,
            each.contract.original_source,
            each.latest.result if each.latest else "never assessed",
        )
        for each in registry.list_all(session)
    )
    columns = ("supplier", "name", "country", "collected by", "legal basis", "original source", "assessed")
    return Table("Suppliers", columns, rows, "none is recorded")


def _licences(session: Session, now: int) -> Table:
    rows = tuple(
        (
            each.licence.id,
            each.licence.holder,
            "yes" if each.licence.government else "no",
            ", ".join(each.licence.purposes),
            "revoked" if each.revoked else instant_text(each.licence.expires, 0)[:10],
            each.licence.sha256[:12],
        )
        for each in licences.list_all(session)
        if each.revoked or each.licence.expires > now
    )
    columns = ("licence", "holder", "public body", "purposes", "until", "record")
    return Table("Licences in force or revoked", columns, rows, "none is granted")


def _limits(config: Config) -> tuple[Fact, ...]:
    return (
        known("Raw pings", f"{config.raw_days} days after delivery at most", config.raw_days),
        known("Derived rows of devices", f"{config.derived_days} days at most", config.derived_days),
        known("Pseudonym keys", "destroyed with the last row under them"),
        known(
            "Answers and log",
            "kept: noisy statistics, and entries that hold nothing about the people in the data",
        ),
    )


def _terms(session: Session) -> Table:
    rows = tuple(
        (each.contract.id, f"{each.contract.raw_days}", f"{each.contract.derived_days}")
        for each in registry.list_all(session)
    )
    return Table("By contract", ("supplier", "days of raw pings", "days of derived rows"), rows, "none")


def _approved(session: Session) -> tuple[Fact, ...]:
    last = impact.latest(session)
    if last is None:
        return (to_write("Assessment", "none is approved; no licence is granted without one"),)
    return (
        known("Description", last.description),
        known("Necessity", last.necessity),
        *(known(f"Risk: {risk}", measure) for risk, measure in zip(last.risks, last.measures, strict=True)),
        known("Approved by", "a person with the role privacy; the log names the account"),
        known("Due again", day_name(last.next_due)),
    )


def _risks() -> Table:
    by_id = {each.id: each for each in controls.catalogue()[1]}
    rows = tuple(
        (risk, "; ".join(f"{name} ({by_id[name].kind})" for name in against)) for risk, against in _RISKS
    )
    return Table("Risks, and controls against them", ("risk", "controls"), rows)


def _controls(kind: str) -> Table:
    rows = tuple((each.id, each.text, each.source) for each in controls.catalogue()[1] if each.kind == kind)
    return Table(
        f"Controls: {kind}. {controls.CLASSES[kind]}", ("control", "what must be so", "asked for by"), rows
    )
