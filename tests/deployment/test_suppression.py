"""The test of suppression finds nothing where suppression works, and what survives where it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worlds
from passersby.config import Config
from passersby.deployment import places, suppression
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.errors import NotReady
from passersby.ingest import partition
from passersby.sensitive import duties
from passersby.sensitive.cover import Cover

pytestmark = pytest.mark.slow

SQUARE = [[8.0, 47.0], [8.02, 47.0], [8.02, 47.02], [8.0, 47.02], [8.0, 47.0]]


def feature(category: str, geometry: dict[str, Any], **properties: str) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"category": category, **properties}}


@pytest.fixture
def d(tmp_path: Path) -> Any:
    create(tmp_path / "d", now=worlds.now(), utc_offset="+02:00", config=Config(buckets=4, threads=2))
    with Deployment.open(tmp_path / "d", now=worlds.now()) as opened:
        yield opened


@pytest.fixture
def listed(d: Deployment, tmp_path: Path) -> Deployment:
    path = tmp_path / "list.geojson"
    polygon = {"type": "Polygon", "coordinates": [SQUARE]}
    features = [
        feature("clinic", {"type": "Point", "coordinates": [8.5, 47.4]}),
        feature("clinic", {"type": "Point", "coordinates": [8.5, 47.4]}, name="next door"),
        feature("barracks", polygon),
        feature(
            "protest",
            {"type": "Point", "coordinates": [7.5, 46.9]},
            **{"from": "2026-05-01", "until": "2026-05-01"},
        ),
        feature(
            "vigil",
            {"type": "Point", "coordinates": [7.5, 46.9]},
            **{"from": "2026-05-03T20:00", "until": "2026-05-03T20:30"},
        ),
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    places.load(d, path, name="all", actor=d.actor(), now=worlds.now())
    return d


def test_nothing_of_a_visit_survives(listed: Deployment) -> None:
    found = suppression.run(listed, now=worlds.now())
    assert found.passed
    assert [(c.name, c.places, c.planted, sum(c.surviving)) for c in found.categories] == [
        ("barracks", 1, 9, 0),
        ("clinic", 2, 18, 0),
        ("protest", 1, 9, 0),
        ("vigil", 1, 9, 0),
    ]
    assert found.controls == 5 * 6
    assert not list(listed.layout.spill.glob("*/0/*"))
    with listed.database.read() as session:
        assert min(duty.due for duty in duties.duties(session)) > worlds.now() + 90 * 86_400


def test_without_a_list_there_is_nothing_to_test(d: Deployment) -> None:
    with pytest.raises(NotReady, match="No list"):
        suppression.run(d, now=worlds.now())


def test_a_cover_with_a_hole_is_found(listed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Cover.hits

    def holed(self: Cover, lat: Any, lon: Any, cell: Any, accuracy: Any, t: Any) -> Any:
        return whole(self, lat, lon, cell, accuracy, t) & ~((lon > 849_000) & (lon < 851_000))

    monkeypatch.setattr(Cover, "hits", holed)
    found = suppression.run(listed, now=worlds.now())
    assert not found.passed
    survived = {c.name: c.surviving for c in found.categories}
    assert all(survived["clinic"])  # pings, presence, stays and trips
    assert not any(survived["barracks"] + survived["protest"])
    with listed.database.read() as session:
        (test,) = (duty for duty in duties.duties(session) if "test their suppression" in duty.what)
    assert test.due <= worlds.now()


def test_neighbours_that_stay_are_found(listed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "withheld", lambda _device, _t, inside, _offset: np.array(inside))
    found = suppression.run(listed, now=worlds.now())
    assert {c.name: c.surviving[0] for c in found.categories} == {
        "barracks": 2,
        "clinic": 4,
        "protest": 2,
        "vigil": 2,
    }


def test_an_ingest_that_takes_nothing_is_no_success(
    listed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cover, "hits", lambda _self, lat, *_: np.ones(len(lat), dtype=np.bool_))
    found = suppression.run(listed, now=worlds.now())
    assert (found.surviving, found.controls, found.passed) == (0, 0, False)
