"""Every refusal of the gate: its code, what is logged, that nothing is spent, that no data shows in it."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from shapely.geometry import box

import worlds
from passersby.errors import Refusal
from passersby.gate import planning
from passersby.gate.request import DEVICE_WORDS
from passersby.measures.catalogue import CATALOGUE
from passersby.model.cost import MicroRho
from passersby.model.period import DAY, parse_day
from passersby.model.place import Area
from passersby.model.zones import Zones
from passersby.policy import licence as licences
from passersby.policy.refusals import REFUSALS
from passersby.privacy.hierarchy.plan import make_plan

pytestmark = pytest.mark.slow

PARIS = Area.from_bbox(2.2, 48.8, 2.5, 48.95, resolution=5)
BERN = (46.948, 7.447)


def _cells(*resolutions: int) -> Area:
    """Return the cell at each resolution around Bern or, for a second one, Basel."""
    places = (BERN, (47.56, 7.59))
    cells = [h3i.latlng_to_cell(*place, r) for place, r in zip(places, resolutions, strict=False)]
    return Area.from_cells(np.array(cells, dtype=np.int64))


def _prepare(asker: worlds.Asker) -> None:
    """Grant the licences that the refusals are about, and add the people who may not ask."""
    asker.licence("coarse", resolution=6)
    asker.licence("one-measure", measures=("presence",))
    asker.licence("poor", epsilon_per_period=0.1)
    asker.licence("not-noticed", purposes=(worlds.PURPOSE, "dpv:AcademicResearch"))
    asker.licence("long", dates_from=parse_day("2025-01-01"), dates_to=parse_day("2027-12-31"))
    asker.licence("small", cells=_cells(5).compacted)
    asker.licence("short", dates_from=parse_day("2026-05-12"), dates_to=parse_day("2026-05-14"))
    asker.licence("revoked")
    with asker.d.writing() as session:
        licences.revoke(session, "revoked", actor=asker.actor("custodian"), now=worlds.now())
    asker.person("ben", "analyst")


@dataclass(frozen=True)
class Pair:
    """Two deployments with the same records, one with data and one without."""

    full: worlds.Asker
    empty: worlds.Asker

    def refused(self, **changed: Any) -> Refusal:
        """Ask both; check all that holds for every refusal; return it."""
        refusals = []
        for asker in (self.full, self.empty):
            spent, logged = asker.d.balances(), asker.entries()
            refusal = asker.refused(**changed)
            assert asker.d.balances() == spent
            # the budget's account of a week without data hangs on a key that is made when it is first asked
            new = [e for e in asker.entries()[len(logged) :] if e["kind"] != "epoch.opened"]
            asked, licence = changed.get("measure", "presence"), changed.get("licence", worlds.LICENCE)
            assert [{**entry, "index": 0, "time": 0} for entry in new] == [
                {
                    "index": 0,
                    "time": 0,
                    "kind": "question.refused",
                    "code": refusal.code,
                    "measure": _public(asked),
                    "licence": licence if licence in _LICENCES else "unknown",
                }
            ]
            assert (refusal.message, refusal.next_step) == REFUSALS[refusal.code]
            refusals.append(refusal)
        full, empty = refusals
        assert (full.code, str(full)) == (empty.code, str(empty))
        assert full.exit_code == 5
        return full


_LICENCES = {
    worlds.LICENCE,
    *("coarse", "one-measure", "poor", "not-noticed", "long", "small", "short", "revoked"),
}


def _public(measure: str) -> str:
    if measure.lower() in DEVICE_WORDS:
        return "device-level"
    return measure if measure in CATALOGUE else "unknown"


@pytest.fixture(scope="module")
def pair(
    built: worlds.World, built_empty: worlds.World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with built.copied(folder / "full").open() as full, built_empty.copied(folder / "empty").open() as empty:
        pair = Pair(worlds.Asker(full), worlds.Asker(empty))
        _prepare(pair.full)
        _prepare(pair.empty)
        yield pair


@pytest.mark.parametrize("measure", ["footfall", "", "presence ", "PRESENCE", "presence; drop table ping"])
def test_unknown_measure(pair: Pair, measure: str) -> None:
    assert pair.refused(measure=measure).code == "unknown-measure"


@pytest.mark.parametrize("measure", [*sorted(DEVICE_WORDS), "Devices", "WHO"])
def test_words_that_ask_for_devices(pair: Pair, measure: str) -> None:
    assert pair.refused(measure=measure).code == "device-level-request"


def test_area_outside_the_licence(pair: Pair) -> None:
    assert pair.refused(area=PARIS).code == "area-outside-licence"


def test_area_partly_outside_the_licence(pair: Pair) -> None:
    both = Area.from_cells(np.concatenate([PARIS.at(5), _cells(5).at(5)]))
    assert pair.refused(area=both).code == "area-outside-licence"


def test_area_under_the_licences_smallest_cell(pair: Pair) -> None:
    assert pair.refused(area=_cells(7), resolution=7, licence="coarse").code == "area-too-small"


def test_area_partly_under_the_licences_smallest_cell(pair: Pair) -> None:
    assert pair.refused(area=_cells(6, 7), resolution=7, licence="coarse").code == "area-too-small"


def test_area_with_cells_finer_than_the_resolution(pair: Pair) -> None:
    assert pair.refused(area=_cells(7), resolution=6).code == "bad-area"


def test_area_of_a_building(pair: Pair) -> None:
    assert pair.refused(area=_cells(12), resolution=7).code == "area-too-small"


def test_no_cell_of_the_resolution_lies_in_the_licence(pair: Pair) -> None:
    assert pair.refused(area=None, resolution=4, licence="small").code == "bad-area"


@pytest.mark.parametrize("resolution", [8, 9, 15])
def test_resolution_finer_than_the_deployment(pair: Pair, resolution: int) -> None:
    assert pair.refused(resolution=resolution).code == "resolution-too-fine"


def test_resolution_finer_than_the_licence(pair: Pair) -> None:
    assert pair.refused(resolution=7, area=_cells(5), licence="coarse").code == "resolution-too-fine"


@pytest.mark.parametrize("resolution", [-1, 0, 3, 16, 10**9])
def test_resolution_that_is_none(pair: Pair, resolution: int) -> None:
    assert pair.refused(resolution=resolution).code == "bad-resolution"


@pytest.mark.parametrize(
    "chosen",
    [
        ("age=30",),
        ("device=1",),
        ("hour=24",),
        ("hour=",),
        ("hour",),
        ("weekday=monday",),
        ("weekday=mon,",),
        ("hour=7 or 1=1",),
        ("weekday=mon", "supplier=2"),
    ],
)
def test_filter_that_is_not_on_the_list(pair: Pair, chosen: tuple[str, ...]) -> None:
    assert pair.refused(filters=chosen).code == "bad-filter"


def test_filter_that_leaves_no_hour(pair: Pair) -> None:
    assert pair.refused(period="2026-05-11", filters=("weekday=sun",)).code == "bad-filter"


@pytest.mark.parametrize("every", ["", "minute", "month", "days", "DAY"])
def test_grain_that_is_none(pair: Pair, every: str) -> None:
    assert pair.refused(every=every).code == "bad-grain"


@pytest.mark.parametrize("every", ["hour", "daypart"])
def test_grain_that_the_measure_does_not_have(pair: Pair, every: str) -> None:
    assert pair.refused(measure="visitors", every=every).code == "bad-grain"


@pytest.mark.parametrize(
    "period",
    ["", "..", "2026", "2026-W00", "2026-W54", "2026-02-30", "yesterday", "2026-W20..2026-W19", "0000-01-01"],
)
def test_period_that_is_none(pair: Pair, period: str) -> None:
    assert pair.refused(period=period).code == "bad-period"


def test_period_of_more_than_a_year(pair: Pair) -> None:
    assert pair.refused(period="2025-W19..2026-W20", licence="long").code == "bad-period"


@pytest.mark.parametrize("period", ["2026-W20", "2026-05-12..2026-05-24", "2026-05-11..2026-05-23"])
def test_a_comparison_of_weeks_needs_whole_ones(pair: Pair, period: str) -> None:
    assert pair.refused(measure="change", every="whole", period=period).code == "bad-period"


@pytest.mark.parametrize(
    ("measure", "every"),
    [("residents", "whole"), ("catchment", "whole"), ("stay-put", "day"), ("relocation", "whole")],
)
def test_weeks_of_two_pseudonym_keys_are_not_joined(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, measure: str, every: str
) -> None:
    for asker in (pair.full, pair.empty):
        monkeypatch.setattr(asker.d.gate._parts.ring, "_epoch_weeks", 1)
    weeks = {"licence": "long", "period": "2026-W20..2026-W21"}
    assert pair.refused(measure=measure, every=every, **weeks).code == "two-keys"
    # one week has one key, and a comparison that joins nothing may have two
    for asker in (pair.full, pair.empty):
        for asked in (
            {"measure": "change", "every": "whole", **weeks},
            {"measure": "residents", "every": "whole"},
        ):
            asker.d.plan(asker.request(**asked), asker.actor())


@pytest.mark.parametrize("measure", sorted(name for name, each in CATALOGUE.items() if each.finest < 7))
def test_a_reference_location_is_not_given_in_finer_cells(pair: Pair, measure: str) -> None:
    every = CATALOGUE[measure].grains[0]
    assert pair.refused(measure=measure, every=every, resolution=7).code == "resolution-too-fine"


@pytest.mark.parametrize("measure", ["residents", "coverage", "entropy", "introversion"])
def test_whole_days_and_weeks_take_no_filter(pair: Pair, measure: str) -> None:
    every = CATALOGUE[measure].grains[0]
    assert pair.refused(measure=measure, every=every, filters=("hour=8",)).code == "bad-filter"


@functools.cache
def _large_and_small() -> Zones:
    return Zones.from_shapes({"large": box(7.2, 46.8, 7.7, 47.1), "suburb": box(7.4, 46.7, 7.46, 46.74)})


@pytest.mark.parametrize("measure", sorted(name for name, each in CATALOGUE.items() if each.finest < 7))
@pytest.mark.parametrize("resolution", [4, 5, 6])
def test_a_reference_location_is_not_given_in_zones_smaller_than_its_cells(
    pair: Pair, measure: str, resolution: int
) -> None:
    zones = _large_and_small()
    assert zones.resolution == 10
    assert 7**3 < zones.least_cells() < 7**4
    asked: dict[str, Any] = {"measure": measure, "every": CATALOGUE[measure].grains[0], "area": None}
    asked |= {"period": "2026-W20..2026-W21"} if CATALOGUE[measure].least_weeks > 1 else {}
    assert pair.refused(zones=zones, resolution=resolution, **asked).code == "area-too-small"


def test_zones_smaller_than_a_cell(pair: Pair) -> None:
    zones = Zones.from_shapes({"street": box(7.44, 46.94, 7.45, 46.95)}, finest=8)
    assert pair.refused(zones=zones, area=None, resolution=5).code == "area-too-small"


@pytest.mark.parametrize("epsilon", [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf, 1e-300, 1e-7, 0.03])
def test_epsilon_that_buys_nothing(pair: Pair, epsilon: float) -> None:
    assert pair.refused(epsilon=epsilon).code == "bad-epsilon"


@pytest.mark.parametrize("epsilon", [math.nextafter(1, 2), 1.01, 4.0, 1e300])
def test_epsilon_over_what_a_question_may_cost(pair: Pair, epsilon: float) -> None:
    assert pair.refused(epsilon=epsilon).code == "epsilon-over-question-cap"


def test_licence_that_is_not_valid_yet(pair: Pair) -> None:
    assert pair.refused(at=worlds.now() - DAY).code == "licence-not-yet-valid"


def test_licence_that_expired(pair: Pair) -> None:
    assert pair.refused(at=worlds.now() + 90 * DAY + 1).code == "licence-expired"


def test_licence_that_was_revoked(pair: Pair) -> None:
    assert pair.refused(licence="revoked").code == "licence-revoked"


@pytest.mark.parametrize("licence", ["", "nobody", "transport-2026 ", "\udcff", "a\0b", "x" * 10_000])
def test_licence_that_nobody_has(pair: Pair, licence: str) -> None:
    assert pair.refused(licence=licence).code == "unknown-licence"


@pytest.mark.parametrize("person", ["ben", "paula"])
def test_person_who_is_not_on_the_licence(pair: Pair, person: str) -> None:
    assert pair.refused(person=person).code == "not-on-licence"


@pytest.mark.parametrize(
    "purpose", ["dpv:AcademicResearch", "dpv:PublicBenefit", "", "because", '"; x', "\udcff"]
)
def test_purpose_that_is_not_licensed(pair: Pair, purpose: str) -> None:
    assert pair.refused(purpose=purpose).code == "purpose-not-licensed"


@pytest.mark.parametrize(
    "purpose",
    ["passersby:EnforcementAgainstIndividuals", "passersby:ReIdentification", "dpv:PoliticalCampaign"],
)
def test_purpose_that_is_prohibited(pair: Pair, purpose: str) -> None:
    assert pair.refused(purpose=purpose).code == "purpose-prohibited"


def test_purpose_that_the_people_were_not_told(pair: Pair) -> None:
    refusal = pair.refused(purpose="dpv:AcademicResearch", licence="not-noticed")
    assert refusal.code == "purpose-not-in-notice"


def test_measure_that_is_not_licensed(pair: Pair) -> None:
    assert pair.refused(measure="visitors", licence="one-measure").code == "measure-not-licensed"


@pytest.mark.parametrize("case", ["", " ", "\u2003"])
def test_case_that_is_missing(pair: Pair, case: str) -> None:
    code = pair.refused(case=case).code
    assert code == ("case-missing" if case.isprintable() else "bad-case")


@pytest.mark.parametrize("case", ["x" * 201, "two\nlines", "\udcff", "nul\0"])
def test_case_that_is_no_reference(pair: Pair, case: str) -> None:
    assert pair.refused(case=case).code == "bad-case"


@pytest.mark.parametrize("period", ["2026-05-11", "2026-05-15", "2026-W20", "2026-05-14..2026-05-15"])
def test_dates_outside_the_licence(pair: Pair, period: str) -> None:
    assert pair.refused(period=period, licence="short").code == "dates-outside-licence"


@pytest.mark.parametrize("period", ["2026-W19", "2026-W21"])
def test_dates_that_no_contract_covers(pair: Pair, period: str) -> None:
    assert pair.refused(period=period, licence="long").code == "purpose-not-in-notice"


def test_question_that_is_too_large(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    # with the real number of keys, only every hour of a year in half the world is too large
    monkeypatch.setattr(planning, "make_plan", functools.partial(make_plan, key_cap=300))
    assert pair.refused(every="hour").code == "question-too-large"


def test_budget_of_the_licence_is_spent(pair: Pair) -> None:
    assert pair.refused(licence="poor", epsilon=0.5).code == "budget-spent"


def test_budget_of_the_period_is_spent(full: worlds.Asker, empty: worlds.Asker) -> None:
    for asker in (full, empty):
        asker.ask(epsilon=0.5)
        (balance,) = asker.d.balances()
        with asker.d.database.write() as session:
            asker.d.ledger.lower_cap(session, key=balance.key, period=balance.period, cap=MicroRho(0))
    assert Pair(full, empty).refused(epsilon=0.5, resolution=6).code == "budget-spent"


def test_words_of_the_caller_stay_out_of_the_public_log(full: worlds.Asker) -> None:
    word = "jane-doe-of-elm-street"
    full.refused(measure=word, purpose=word, case=word, licence=word)
    full.refused(purpose=word, case=word)
    full.refused(licence=word, case=word)
    assert word not in json.dumps(full.entries())
    published = b"".join(path.read_bytes() for path in full.d.layout.log.rglob("*") if path.is_file())
    assert b"question.refused" in published
    assert word.encode() not in published


def test_no_two_reasons_share_a_text() -> None:
    texts = [message for message, _ in REFUSALS.values()]
    assert len(set(texts)) == len(texts)


def test_planning_refuses_as_asking_does(full: worlds.Asker) -> None:
    with pytest.raises(Refusal) as caught:
        full.d.plan(full.request(measure="devices"), full.actor())
    assert caught.value.code == "device-level-request"
    assert [entry["code"] for entry in full.entries("question.refused")] == ["device-level-request"]
    assert full.spent() == {}
