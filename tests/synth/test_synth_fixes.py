from __future__ import annotations

import numpy as np
import pytest

from passersby.synth.country import METRES_PER_DEGREE, Country, Places
from passersby.synth.fixes import ACCURACY, ACTIVE, DAY, RESOLD, Fixes, counts, fixes, select, taken
from passersby.synth.people import People, settle

DEVICES = 3_000
RATE = 60.0


def _people(country: Country, places: Places, root: int, devices: int = DEVICES) -> People:
    return settle(country, places, np.uint64(root), devices, RATE, (0.2, 0.5, 0.3))


@pytest.fixture(scope="module")
def monday(country: Country, places: Places, root: int) -> Fixes:
    people = _people(country, places, root)
    return fixes(places, people, np.uint64(root), 0, DEVICES, number=0, weekend=False)


def test_the_mean_number_of_fixes_is_the_one_asked_for(country: Country, places: Places, root: int) -> None:
    people = _people(country, places, root, 40_000)
    per_day = [counts(people.rate, np.uint64(root), 0, 40_000, day).astype(float) for day in range(6)]
    assert np.mean(per_day) == pytest.approx(RATE, rel=0.06)
    assert np.mean([day > 0 for day in per_day]) <= ACTIVE


def test_some_devices_are_silent_for_days(country: Country, places: Places, root: int) -> None:
    people = _people(country, places, root, 5_000)
    busy = people.rate > 30
    days = np.stack([counts(people.rate, np.uint64(root), 0, 5_000, day) for day in range(4)])[:, busy]
    silent = (days == 0).all(axis=0).mean()
    assert 0.02 < silent < 0.05  # 0.15^4 = 0.0005 without the absences


def test_no_two_fixes_of_a_device_share_a_second(monday: Fixes) -> None:
    key = monday.device.astype(np.int64) * DAY + monday.second
    assert np.all(np.diff(key) > 0)
    assert monday.second.min() >= 1
    assert monday.second.max() < DAY


def test_a_full_day_still_has_distinct_seconds(country: Country, places: Places, root: int) -> None:
    people = settle(country, places, np.uint64(root), 300, 500.0, (1.0,))
    busy = fixes(places, people, np.uint64(root), 0, 300, number=0, weekend=False)
    assert np.bincount(busy.device).max() > 2_000
    assert np.all(np.diff(busy.device.astype(np.int64) * DAY + busy.second) > 0)
    assert busy.second.max() < DAY


def test_batches_do_not_change_the_world(country: Country, places: Places, root: int) -> None:
    whole, parts = _people(country, places, root, 300), _people(country, places, root, 300)
    for number in range(3):
        one = fixes(places, whole, np.uint64(root), 0, 300, number=number, weekend=False)
        late = fixes(places, parts, np.uint64(root), 100, 300, number=number, weekend=False)
        early = fixes(places, parts, np.uint64(root), 0, 100, number=number, weekend=False)
        for name in ("second", "lat", "lon", "accuracy", "speed", "to", "salt"):
            both = np.concatenate([getattr(early, name), getattr(late, name)])
            np.testing.assert_array_equal(getattr(one, name), both)


def test_days_have_a_rhythm_and_weekends_another(country: Country, places: Places, root: int) -> None:
    people = _people(country, places, root)
    shares = []
    for number, weekend in ((0, False), (5, True)):
        got = fixes(places, people, np.uint64(root), 0, DEVICES, number=number, weekend=weekend)
        shares.append(np.bincount(got.second // 3600, minlength=24) / len(got.second))
    weekday, weekend_day = shares
    assert weekday[2:5].sum() < 0.3 * weekday[17:20].sum()
    assert weekday[7:9].sum() > 1.3 * weekend_day[7:9].sum()
    assert weekend_day[0:3].sum() > 1.3 * weekday[0:3].sum()


def test_fixes_come_in_bursts_with_long_gaps(monday: Fixes) -> None:
    gaps = np.diff(monday.second)[np.diff(monday.device) == 0]
    assert gaps.std() / gaps.mean() > 1.5  # 1 for a Poisson process
    assert np.quantile(gaps, 0.999) > 3 * 3600


def test_the_accuracy_holds_68_percent_of_errors(country: Country, places: Places, root: int) -> None:
    people = _people(country, places, root)
    got = fixes(places, people, np.uint64(root), 0, DEVICES, number=0, weekend=False)
    early = (got.second < 4 * 3600) & (got.speed == 0)  # nobody has left home yet
    north = (got.lat - people.home_lat[got.device]) * METRES_PER_DEGREE
    east = (got.lon - people.home_lon[got.device]) * METRES_PER_DEGREE * np.cos(np.radians(got.lat))
    inside = (np.hypot(north, east) <= got.accuracy)[early]
    assert inside.mean() == pytest.approx(0.68, abs=0.03)


def test_accuracies_are_those_of_phones(monday: Fixes) -> None:
    assert np.median(monday.accuracy) == pytest.approx(12, abs=1)
    assert monday.accuracy.min() >= 3
    assert np.isin(np.unique(monday.accuracy), ACCURACY).all()


def test_fixes_in_motion_have_a_speed(monday: Fixes) -> None:
    moving = monday.speed > 0
    assert 0.02 < moving.mean() < 0.2
    assert monday.speed.max() < 60


def test_a_shared_device_reaches_its_suppliers_and_no_other(
    country: Country, places: Places, root: int, monday: Fixes
) -> None:
    members = _people(country, places, root).members[monday.device]
    assert np.all(monday.to & ~members == 0)
    assert np.all(monday.to > 0)
    shared = members & (members - 1) != 0
    everybody = (monday.to == members)[shared].mean()
    assert everybody == pytest.approx(RESOLD, abs=0.01)


@pytest.mark.parametrize("bit", [1, 2, 4])
def test_select_gives_one_suppliers_rows_in_order_of_time(monday: Fixes, bit: int) -> None:
    rows = select(monday.second, monday.to, bit)
    assert np.all(np.diff(monday.second[rows]) >= 0)
    assert sorted(rows.tolist()) == np.flatnonzero(monday.to & bit).tolist()


def test_taken_keeps_all_columns(monday: Fixes) -> None:
    rows = np.array([5, 3, 3])
    got = taken(monday, rows)
    for name in got._fields:
        np.testing.assert_array_equal(getattr(monday, name)[rows], getattr(got, name))
