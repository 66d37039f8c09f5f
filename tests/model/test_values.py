"""Costs, questions and settings."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby import config
from passersby.errors import BadRecord, NotADeployment, PassersbyError
from passersby.model.cost import MicroRho
from passersby.model.period import parse_span
from passersby.model.place import Area
from passersby.model.question import Question

QUESTION = Question(
    measure="presence",
    definition=1,
    span=parse_span("2026-W20", 7200),
    area=Area.from_bbox(8.3, 47.2, 8.8, 47.6, 7),
    resolution=7,
    every="hour",
    filters=(),
    cost=MicroRho(19_000),
    mechanism="topdown-h3/1",
    revisions=(1,),
    offset=7200,
)


@given(st.integers(0, 10**9), st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_a_split_loses_and_makes_nothing(micro: int, weights: list[int]) -> None:
    shares = tuple(Fraction(weight, sum(weights)) for weight in weights)
    parts = MicroRho(micro).split(shares)
    assert sum(part.value for part in parts) == micro


def test_a_split_wants_whole_shares() -> None:
    with pytest.raises(ValueError, match="add up"):
        MicroRho(10).split((Fraction(1, 2),))


def test_a_cost_is_never_negative() -> None:
    with pytest.raises(ValueError, match="negative"):
        MicroRho(-1)
    assert (MicroRho(1) + MicroRho(2)).value == 3
    assert MicroRho(19_000).rho == 0.019


@pytest.mark.parametrize(
    "other",
    [
        replace(QUESTION, measure="visitors"),
        replace(QUESTION, definition=2),
        replace(QUESTION, span=parse_span("2026-W21", 7200)),
        replace(QUESTION, area=Area.from_bbox(8.3, 47.2, 8.8, 47.5, 7)),
        replace(QUESTION, resolution=6),
        replace(QUESTION, every="day"),
        replace(QUESTION, filters=(("daypart", ("night",)),)),
        replace(QUESTION, cost=MicroRho(19_001)),
        replace(QUESTION, mechanism="other/1"),
        replace(QUESTION, revisions=(2,)),
    ],
)
def test_a_question_is_known_by_all_that_changes_its_answer(other: Question) -> None:
    assert other.sha256 != QUESTION.sha256
    assert replace(other, **{f: getattr(QUESTION, f) for f in QUESTION.__dataclass_fields__}) == QUESTION


def test_a_question_has_one_hash() -> None:
    assert QUESTION.sha256 == replace(QUESTION).sha256
    assert len(QUESTION.sha256) == 64


def test_settings_are_read_by_name_and_type(tmp_path: Path) -> None:
    (tmp_path / config.FILE).write_text('utc_offset = "+02:00"\nepsilon_cap = 3\n', encoding="utf-8")
    settings = config.read(tmp_path)
    assert settings.offset == 7200
    assert settings.epsilon_cap == 3


@pytest.mark.parametrize(
    "text",
    [
        "epsilon = 9",
        'epsilon_cap = "4"',
        "epsilon_cap = 0.0",
        "epsilon_question = 5.0",
        "raw_days = 0",
        "buckets = true",
        "finest_resolution = 11",
        'utc_offset = "CET"',
        "= 3",
    ],
)
def test_wrong_settings_are_named(text: str, tmp_path: Path) -> None:
    (tmp_path / config.FILE).write_text(text, encoding="utf-8")
    with pytest.raises(PassersbyError) as caught:
        config.read(tmp_path)
    assert caught.value.next_step


def test_a_folder_without_settings_is_no_deployment(tmp_path: Path) -> None:
    with pytest.raises(NotADeployment, match="init"):
        config.read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["raw_days", "derived_days"])
def test_nothing_is_kept_for_ever(name: str) -> None:
    for days in (1000, 100_000_000):
        with pytest.raises(BadRecord, match=name):
            config.from_values({name: days})


def test_bounds_are_named_in_the_error() -> None:
    with pytest.raises(BadRecord, match="raw_days"):
        config.from_values({"raw_days": 4000})
