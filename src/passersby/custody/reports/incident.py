"""The form for an incident (control G6): what a person must find out, beside what the log shows."""

from __future__ import annotations

from passersby.config import Config
from passersby.model.period import instant_text
from passersby.render.report import Report, Section, known, to_write
from passersby.trustlog.verify import Report as LogReport


def form(config: Config, log: LogReport, *, now: int) -> Report:
    """Return the form, with the head of the log that was just verified.

    Args:
        config: settings of the deployment.
        log: what was verified, so that nothing written later passes for earlier.
        now: epoch s.
    """
    return Report(
        "Incident report",
        f"{config.name}, form of {instant_text(now, 0)}",
        "What GDPR article 33(3) asks for, and what it takes to find out. The supervisory authority must "
        "know within 72 hours of becoming aware. Write no identifier of a device or person into this form. "
        "Not legal advice.",
        (
            Section(
                "What is certain",
                (
                    known("Log", log.origin),
                    known("Entries verified", f"{log.size:,}", log.size),
                    known("Root hash", log.root),
                    to_write("Kept outside", "where a copy of the log and its checkpoint of now is kept"),
                ),
            ),
            Section(
                "When",
                (
                    to_write("Became aware", "date and time, and by whom"),
                    to_write("Began and ended", "as far as is known, with entries of the log that show it"),
                    to_write("72 hours are over", "date and time"),
                ),
            ),
            Section(
                "What happened (article 33(3)(a))",
                (
                    to_write("Nature", "loss, disclosure, change, or loss of access"),
                    to_write("Whose data", "categories and approximate number of people and rows"),
                    to_write("Suppliers and deliveries", "by name and number (`passersby log show`)"),
                    to_write("Releases and disclosures", "that descend from them"),
                    to_write("Keys", "whether one is lost or known to others (`passersby keys status`)"),
                ),
            ),
            Section(
                "Consequences (article 33(3)(c))",
                (
                    to_write("For the people in the data", "what can follow, and how likely"),
                    to_write("Sensitive places", "whether rows near one are concerned"),
                    to_write("Are they told", "article 34: yes or no, why, how and when"),
                ),
            ),
            Section(
                "What was done (article 33(3)(d))",
                (
                    to_write("Stopped", "suppliers suspended, licences revoked, keys replaced"),
                    to_write("Repaired", "and so that it does not happen again"),
                ),
            ),
            Section(
                "Who (article 33(3)(b))",
                (
                    to_write("Contact", "data protection officer or another contact"),
                    to_write("Told", "authority, suppliers, licensees: when and by whom"),
                    to_write("Signed", "by a person with the role privacy"),
                ),
            ),
        ),
    )
