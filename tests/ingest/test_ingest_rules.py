"""Legal basis, sealed days, destroyed keys, and rules that change while a delivery is under way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passersby.errors import BadRecord, Busy, NotReady
from passersby.ingest.report import band
from passersby.model.period import Period
from passersby.suppliers import registry

pytestmark = pytest.mark.slow

T = 1_779_000_000  # 2026-05-17 06:40 UTC
NOW = 1_780_000_000
DAY = 86_400


def write(path: Path, *rows: str, header: str = "id,time,latitude,longitude,accuracy") -> Path:
    path.write_text(header + "\n" + "".join(f"{row}\n" for row in rows))
    return path


def consent(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "consent.csv"
    path.write_text("id,given_at,state,expires_at\n" + "".join(f"{row}\n" for row in rows))
    return path


def clinic(path: Path, lat: float, lon: float) -> Path:
    path.write_text(f"lat,lon,name,category\n{lat},{lon},A,clinic\n")
    return path


def test_an_overdue_sample_of_consent_records_locks(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(basis="consent")
    register, later = consent(tmp_path, f"a,{T - DAY},given,"), NOW + 91 * DAY
    deployed.take(write(tmp_path / "a.csv", f"a,{T},47,8,5"), consent=register)
    deployed.take(write(tmp_path / "b.csv", f"a,{T + 1},47,8,5"), now=later - 1)
    with pytest.raises(NotReady, match="sample of consent records"):
        deployed.take(write(tmp_path / "c.csv", f"a,{T + 2},47,8,5"), now=later)
    assert '"kind":"delivery.refused"' in deployed.log()[-1]


def test_consent_decides_row_by_row(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(basis="consent")
    register = consent(
        tmp_path,
        f"EARLY,{T - DAY},given,",
        f"late,{T + 50},given,",
        f"no,{T - DAY},refused,",
        f"gone,{T - DAY},given,{NOW}",
    )
    rows = [
        f"{who},{T + moved},47,8,5"
        for who in ("early", "late", "no", "gone", "stranger")
        for moved in (49, 50)
    ]
    report = deployed.take(write(tmp_path / "a.csv", *rows), consent=register)
    assert report.stored == 3
    assert report.rejected == {"no-consent": 6, "consent-later": 1}
    assert report.examples == {"no-consent": (6, 7, 8, 9, 10), "consent-later": (4,)}


def test_consent_is_found_in_the_normal_form_of_the_id(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(basis="consent")
    register = consent(tmp_path, f"{{6D92078A-8246-4BA4-AE5B-76104861E7DC}},{T - DAY},given,")
    report = deployed.take(
        write(tmp_path / "a.csv", f"6d92078a82464ba4ae5b76104861e7dc,{T},47,8,5"), consent=register
    )
    assert report.stored == 1


def test_a_register_stays_in_force_for_the_next_delivery(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(basis="consent")
    deployed.take(
        write(tmp_path / "a.csv", f"a,{T},47,8,5"), consent=consent(tmp_path, f"a,{T - DAY},given,")
    )
    assert deployed.take(write(tmp_path / "b.csv", f"a,{T + 9},47,8,5", f"b,{T},47,8,5")).stored == 1


def test_objections_count_on_every_legal_basis(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(basis="contract")
    register = consent(tmp_path, f"a,{T + DAY},given,", f"b,{T - DAY},refused,", f"c,{T - DAY},withdrawn,")
    rows = [f"{who},{T},47,8,5" for who in "abcd"]
    report = deployed.take(write(tmp_path / "a.csv", *rows), consent=register)
    assert (report.stored, report.rejected) == (2, {"no-consent": 2})
    assert report.examples == {"no-consent": (3, 4)}


def test_without_any_register_a_delivery_on_consent_is_refused(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(basis="consent")
    with pytest.raises(NotReady, match="no consent register") as caught:
        deployed.take(write(tmp_path / "a.csv", f"a,{T},47,8,5"))
    assert "--consent" in caught.value.next_step
    assert '"kind":"delivery.refused"' in deployed.log()[-1]


def test_a_bad_register_stops_the_delivery(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(basis="consent")
    with pytest.raises(BadRecord, match="Line 2"):
        deployed.take(write(tmp_path / "a.csv", f"a,{T},47,8,5"), consent=consent(tmp_path, f"a,{T},sure,"))
    assert deployed.pings().is_empty()


INLINE = """
name = "inline"
description = "Each row says what its owner said."
[columns]
id = "id"
time = "time"
latitude = "latitude"
longitude = "longitude"
consent = "consent"
[time]
unit = "s"
"""


def test_consent_in_the_row_itself(deployed: Any, tmp_path: Path) -> None:
    (deployed.root / "inline.toml").write_text(INLINE)
    deployed.supplier(schema="inline.toml", basis="consent")
    states = ["dpv:ConsentGiven", "given", "dpv:ConsentWithdrawn", "refused", "", "CPXxRfAPXxRfAAfKABENB"]
    rows = [f"{i},{T},47,8,{state}" for i, state in enumerate(states)]
    report = deployed.take(write(tmp_path / "a.csv", *rows, header="id,time,latitude,longitude,consent"))
    assert (report.stored, report.rejected) == (2, {"no-consent": 4})


def test_a_row_that_says_no_is_heeded_whatever_the_register_or_contract_says(
    deployed: Any, tmp_path: Path
) -> None:
    (deployed.root / "inline.toml").write_text(INLINE)
    deployed.supplier("on-consent", "inline.toml", basis="consent")
    deployed.supplier("on-contract", "inline.toml", basis="contract")
    rows = [f"a,{T},47,8,withdrawn", f"a,{T + 1},47,8,", f"a,{T + 2},47,8,CPXxRfAPX"]
    path = write(tmp_path / "a.csv", *rows, header="id,time,latitude,longitude,consent")
    register = consent(tmp_path, f"a,{T - DAY},given,")
    for supplier, options in (("on-consent", {"consent": register}), ("on-contract", {})):
        report = deployed.take(path, supplier, **options)
        assert (report.stored, report.rejected) == (2, {"no-consent": 1})


def test_a_sealed_day_takes_no_more_pings(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    first = [f"{i},{T},47,8,5" for i in range(40)]
    assert deployed.take(write(tmp_path / "a.csv", *first)).stored == 40
    later = NOW + 31 * DAY
    deployed.lake.expire(later)
    again = [f"{i},{T + 5},47,8,5" for i in range(40)] + [f"{i},{T + DAY},47,8,5" for i in range(3)]
    report = deployed.take(write(tmp_path / "b.csv", *again), now=later)
    assert (report.stored, report.rejected) == (3, {"sealed": 40})
    assert report.balanced()


def test_a_destroyed_key_takes_no_more_pings(deploy: Callable[..., Any], tmp_path: Path) -> None:
    deployed = deploy(epoch_weeks=1)
    deployed.supplier()
    old, new = T - 14 * DAY, T
    deployed.take(write(tmp_path / "a.csv", f"a,{old},47,8,5"))
    with deployed.database.write() as session:
        assert deployed.ring.destroy(session, deployed.ring.epoch_of(Period.containing(old, 0)), now=NOW)
    report = deployed.take(write(tmp_path / "b.csv", f"a,{old + 1},47,8,5", f"a,{new},47,8,5"))
    assert (report.stored, report.rejected) == (1, {"epoch-destroyed": 1})


def interrupting(action: Callable[[], object]) -> Callable[[int, int, int], None]:
    """Return a progress callback that acts once, while the delivery is under way."""
    left = [action]

    def progress(*_: int) -> None:
        if left:
            left.pop()()

    return progress


def test_a_list_that_is_loaded_meanwhile_stops_the_delivery(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    path, listed = write(tmp_path / "a.csv", f"a,{T},47,8,5"), clinic(tmp_path / "c.csv", 47, 8)
    load = interrupting(lambda: deployed.places().load(listed, name="c", actor=deployed.actor, now=NOW))
    with pytest.raises(Busy, match="sensitive places"):
        deployed.take(path, progress=load)
    assert deployed.pings().is_empty()
    assert deployed.take(path).suppressed == 1


def test_a_supplier_that_is_suspended_meanwhile_stores_nothing(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()

    def suspend() -> None:
        with deployed.database.write() as session:
            registry.suspend(session, "acme", reason="doubts", actor=deployed.actor, now=NOW)

    with pytest.raises(NotReady, match="suspended"):
        deployed.take(write(tmp_path / "a.csv", f"a,{T},47,8,5"), progress=interrupting(suspend))
    assert deployed.pings().is_empty()


def test_a_day_that_is_sealed_meanwhile_stops_the_delivery(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    deployed.take(write(tmp_path / "a.csv", f"a,{T},47,8,5"))
    seal = interrupting(lambda: deployed.lake.expire(NOW + 31 * DAY))
    with pytest.raises(Busy):
        deployed.take(write(tmp_path / "b.csv", f"a,{T + 1},47,8,5"), progress=seal)


def test_without_a_list_the_report_says_so(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    report = deployed.take(write(tmp_path / "a.csv", f"a,{T},47,8,5"))
    assert "No list of sensitive places" in report.notes[0]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (1, "fewer than 100"),
        (99, "fewer than 100"),
        (100, "100 to 999"),
        (12_345, "10,000 to 99,999"),
    ],
)
def test_bands_are_powers_of_ten(count: int, text: str) -> None:
    assert band(count) == text
