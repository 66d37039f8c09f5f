"""The texts of all refusals: one constant text for each code, and no data in any of them.

`python -m passersby.policy.refusals` prints docs/reference/refusals.md.
"""

from __future__ import annotations

import sys

from passersby.errors import BudgetSpent, PeriodOpen, Refusal
from passersby.keys.signed import OWN_KEY, ROLE_MISSING, SAME_PERSON
from passersby.model import banned
from passersby.model.banned import DEMO_ONLY
from passersby.policy.duty_refusals import DUTIES
from passersby.policy.order_refusals import ORDERS
from passersby.trustlog.cosigning import NO_WITNESS, WITNESSES_AWAY

_LICENCE = "Ask a custodian; a licence is never changed, but a new one can be granted."

DECISION: dict[str, tuple[str, str]] = {
    "unknown-licence": (
        "There is no licence of that name.",
        "`passersby licence list` shows them; `passersby licence grant --file licence.toml` makes one.",
    ),
    "licence-revoked": (
        "The licence was revoked.",
        "Ask the custodian who revoked it; a new licence can be granted.",
    ),
    "impact-missing": (
        "The impact assessment of this deployment is missing or overdue.",
        "Ask a person with the role privacy to approve one: `passersby impact approve`.",
    ),
    "licence-not-yet-valid": (
        "The licence is not valid yet.",
        "`passersby licence list` shows from when on it is.",
    ),
    "licence-expired": (
        "The licence has expired.",
        "Ask a custodian for a new one; the holder is assessed again first.",
    ),
    "not-on-licence": (
        "Your account may not ask under this licence.",
        "Ask a custodian; a licence names the analysts who may use it.",
    ),
    "purpose-prohibited": (
        "This purpose is prohibited for every licence.",
        "No licence can lift this; docs/explanation/policy.md says what is prohibited and why.",
    ),
    "purpose-not-licensed": (
        "The licence does not name this purpose.",
        "`passersby licence list` shows the purposes; ask only for what they cover.",
    ),
    "purpose-not-in-notice": (
        "The people in the data were not told of this purpose.",
        "It is open only once the notices of all suppliers that are read name it.",
    ),
    "measure-not-licensed": ("The licence does not name this measure.", _LICENCE),
    "area-outside-licence": (
        "A part of the area lies outside the licence.",
        "Ask a smaller area; `passersby licence list` shows the licensed one.",
    ),
    "area-too-small": (
        "The area, or a zone, is smaller than one cell of `--resolution` or of the licence's finest one.",
        "Ask a larger area, join small zones, or ask with a finer `--resolution`.",
    ),
    "resolution-too-fine": (
        "The resolution is finer than the licence, the measure or this deployment allows.",
        "Ask with a coarser `--resolution`.",
    ),
    "dates-outside-licence": (
        "A part of the period lies outside the dates of the licence.",
        "Ask a period within them; `passersby licence list` shows them.",
    ),
    "bad-epsilon": (
        "Epsilon must be a number above 0.",
        "Ask with `--epsilon 1` or less.",
    ),
    "epsilon-over-question-cap": (
        "The question asks for more epsilon than one question may cost.",
        "Ask with a smaller `--epsilon`; passersby.toml holds the cap.",
    ),
    "case-missing": (
        "The question names no case.",
        "Give the case that it belongs to with `--case`: the log commits to it.",
    ),
    "case-not-open": (
        "There is no open case of that name for this licence and purpose.",
        "`passersby case list` shows the cases; `passersby case open` opens one.",
    ),
    "review-overdue": (
        "A review of an earlier question under this licence is overdue.",
        "Ask an overseer to do it: `passersby review list` shows what waits.",
    ),
    "denied": (
        "Policy does not allow this question.",
        "Ask a custodian to look at the licence and the log.",
    ),
}
"""Codes of the decision, in the order in which they are looked for: the first that fits is given."""

GATE: dict[str, tuple[str, str]] = {
    "unknown-measure": (
        "There is no measure of that name.",
        "`passersby measures` shows the catalogue.",
    ),
    "bad-filter": (
        "The filter is not on the closed list of filters, or this measure takes none.",
        "Filters choose hours, weekdays and parts of the day; none chooses devices.",
    ),
    "bad-grain": (
        "This measure cannot be given for that grain of time.",
        "`passersby measures` shows the grains of each; choose one with `--every`.",
    ),
    "bad-period": (
        "The period is not a week, a day, or a range of either of at most 53 weeks that fits the measure.",
        "Write `--period 2026-W20`, `2026-05-12` or `2026-W20..2026-W22`; some measures need whole weeks.",
    ),
    "bad-case": (
        "The case is no reference: it is longer than 200 characters or holds something else than text.",
        "Give a short one with `--case`, such as a file number.",
    ),
    "bad-area": (
        "The area cannot be given at this resolution.",
        "It must hold one whole cell of `--resolution` at least, and 2,000,000 at most; ask for another.",
    ),
    "not-weighted": (
        "This measure cannot be weighted by home zones.",
        "Presence, stay-presence, visitors, outflows and inflows can be; ask others without `--weights`.",
    ),
    "bad-weight-cap": (
        "The weights have no cap, or none from 1 to 10,000 people for a device.",
        "Say with `--weight-cap` how many people a device may stand for at most.",
    ),
    "bad-residents": (
        "There is no release of residents that these weights can be made from.",
        "`--residents` names one over all days of the question, of the table's zones or in cells not finer.",
    ),
    "bad-census": (
        "The census table has cells or zones that the release of residents does not cover.",
        "Leave them out, or ask `residents` for an area or zones that hold them.",
    ),
    "question-too-large": (
        "The question has more cells or zones and buckets of time than can be answered at once.",
        "Ask for a coarser grain, a shorter period, a smaller area or fewer zones.",
    ),
    "bad-resolution": (
        "There is no such resolution.",
        "Ask with a `--resolution` from 4 (coarse) to the finest of the licence, usually 7.",
    ),
    "two-keys": (
        "This measure joins several weeks, and the pseudonyms changed between them.",
        "Ask weeks of one key; `passersby budget` shows the key of each period that was asked.",
    ),
    "period-open": (PeriodOpen().message, PeriodOpen().next_step),
    "budget-spent": (BudgetSpent().message, BudgetSpent().next_step),
    "device-level-request": (
        "There is no function that names, lists or follows devices.",
        "Ask for a statistic: `passersby measures`. This request was logged and is counted.",
    ),
    "release-withdrawn": (
        "The stored answer was withdrawn from service.",
        "A place in its area is sensitive now, or data behind it proved bad: ask for something else.",
    ),
}
"""Codes of the gate's own checks."""

SUPPLIERS: dict[str, tuple[str, str]] = {**banned.TEXTS, "demo-deployment": DEMO_ONLY}
"""Codes of contracts and deliveries."""

ACCOUNTS: dict[str, tuple[str, str]] = {
    "role-missing": ROLE_MISSING,
    "same-person": SAME_PERSON,
    "own-key": OWN_KEY,
}
"""Codes of commands that a person signs."""

LOG: dict[str, tuple[str, str]] = {"no-witness": NO_WITNESS, "witnesses-away": WITNESSES_AWAY}
"""Codes of what must not happen without outside witnesses of the log."""

HOLDERS: dict[str, tuple[str, str]] = {
    "proof-invalid": (
        "The proof does not show that a device's holder asks for this.",
        "It must be of a key that is enrolled, for this deployment, a day old at most, and not used before.",
    ),
    "copy-waits": (
        "A copy takes two requests, 72 hours apart, and a notice that was shown on the device in between.",
        "Let the app fetch its notices (`passersby subject notices`), and ask again after 72 hours.",
    ),
}
"""Codes of what holders of devices ask for. They do not tell whether a device is known."""

REFUSALS: dict[str, tuple[str, str]] = (
    DECISION | GATE | SUPPLIERS | ACCOUNTS | DUTIES | LOG | ORDERS | HOLDERS
)
"""Every code with its message and its next step."""


def refusal(code: str) -> Refusal:
    """Return the refusal of a code; the caller raises it.

    Raises:
        ValueError: there is no such code (a programming error).
    """
    if code == "period-open":
        return PeriodOpen()
    if code == "budget-spent":
        return BudgetSpent()
    if code not in REFUSALS:
        msg = f"there is no refusal {code!r}"
        raise ValueError(msg)
    return Refusal(code, *REFUSALS[code])


def markdown() -> str:
    """Return the reference page of all refusals."""
    parts = [
        "# Refusals",
        "",
        "Every refusal has a code and one constant text. The text depends on the code alone: whatever is in",
        "the data, an analyst reads the same words. A refusal costs no budget, is logged, and ends the",
        "command with exit code 5. `python -m passersby.policy.refusals` prints this page.",
    ]
    for title, intro, table in (
        (
            "The decision",
            "Policy is asked before anything is read. Of several reasons the first in this order is given.",
            DECISION,
        ),
        ("The gate", "What the gate checks beside policy.", GATE),
        ("Suppliers", "Contracts and deliveries; counted by code in the log.", SUPPLIERS),
        ("Accounts", "Commands that a person signs with a key.", ACCOUNTS),
        ("Duties", "What people have stopped, or must do first.", DUTIES),
        ("The log", "What must not happen without outside witnesses of the log.", LOG),
        ("Court orders", "What is checked before anything is looked up; counted by code in the log.", ORDERS),
        ("Holders of devices", "The text is the same whether a device is known or not.", HOLDERS),
    ):
        rows = [f"| `{code}` | {message} | {step} |" for code, (message, step) in table.items()]
        head = ["| code | what you read | what you can do |", "|---|---|---|"]
        parts += ["", f"## {title}", "", intro, "", *head, *rows]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
