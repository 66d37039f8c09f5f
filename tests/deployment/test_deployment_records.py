"""Nothing works before its record is there, and each error names the command that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import worlds
from passersby.demo import records, story
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.errors import NotReady, Refusal, UnknownName
from passersby.suppliers import contract as contracts
from passersby.suppliers import registry

pytestmark = pytest.mark.slow


@pytest.fixture(params=[False, True], ids=["real", "demo"])
def asker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[worlds.Asker]:
    """A new deployment with its people and nothing else; a demo is no exception."""
    root = create(tmp_path / "d", now=worlds.now(), utc_offset="+02:00", demo=request.param).root
    with Deployment.open(root) as d:
        records.people(d, now=worlds.now())
        yield worlds.Asker(d)


def _contract(asker: worlds.Asker, supplier: str, basis: str) -> None:
    consent = basis == "consent"
    text = records._CONTRACT.format(
        supplier=supplier,
        schema=supplier,
        purpose=worlds.PURPOSE,
        first=story.DATES[0],
        last=story.DATES[1],
        devices=10,
        basis=basis,
        version="1" if consent else "",
        notice="0" * 64 if consent else "",
        language="en" if consent else "",
    )
    with asker.d.writing() as session:
        parsed = contracts.parse(text, config=asker.d.config)
        registry.add(session, parsed, actor=asker.actor("custodian"), now=worlds.now())


def _file(tmp_path: Path) -> Path:
    path = tmp_path / "delivery.csv"
    path.write_text("ad_id,utc_timestamp,latitude,longitude\n")
    return path


def test_a_delivery_of_nobody(asker: worlds.Asker, tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        asker.d.ingest([_file(tmp_path)], "veraset")
    assert "`passersby supplier add`" in caught.value.next_step


def test_a_delivery_without_an_assessment(asker: worlds.Asker, tmp_path: Path) -> None:
    _contract(asker, "veraset", "synthetic-or-test-data")
    with pytest.raises(NotReady, match="never assessed") as caught:
        asker.d.ingest([_file(tmp_path)], "veraset")
    assert "`passersby supplier assess veraset --file assessment.toml`" in caught.value.next_step
    assert asker.entries("delivery.refused")[-1]["code"] == "not-ready"
    assert not (asker.d.layout.lake / "pings").exists()


def test_a_delivery_on_consent_without_a_register(asker: worlds.Asker, tmp_path: Path) -> None:
    who = records.known(asker.d)
    records.add_supplier(asker.d, who, "sovrn", story.DATES, 10, "0" * 64, now=worlds.now())
    with pytest.raises(NotReady, match="No impact assessment"):
        asker.d.ingest([_file(tmp_path)], "sovrn")
    assert asker.entries("delivery.refused")[-1]["code"] == "not-ready"
    records.approve_impact(asker.d, who, now=worlds.now())
    with pytest.raises(NotReady, match="no consent register is loaded") as caught:
        asker.d.ingest([_file(tmp_path)], "sovrn")
    assert "`passersby ingest FILES... --supplier sovrn --consent FILE`" in caught.value.next_step


def test_a_licence_without_an_impact_assessment(asker: worlds.Asker) -> None:
    who = records.known(asker.d)
    with pytest.raises(NotReady, match="No impact assessment") as caught:
        records.grant(
            asker.d,
            who,
            "x",
            dates=story.DATES,
            bbox=story.SWITZERLAND,
            seconds=1000,
            now=worlds.now(),
        )
    assert "`passersby impact approve --file impact.toml`" in caught.value.next_step


def test_a_question_without_a_licence(asker: worlds.Asker) -> None:
    refusal = asker.refused()
    assert refusal.code == "unknown-licence"
    assert "`passersby licence grant --file licence.toml`" in refusal.next_step


def test_an_analyst_approves_nothing(asker: worlds.Asker) -> None:
    anna = asker.actor("anna")
    who = records.People(anna, anna, anna, anna, anna)
    with pytest.raises(Refusal) as caught:
        records.approve_impact(asker.d, who, now=worlds.now())
    assert caught.value.code == "role-missing"
    with pytest.raises(Refusal) as caught:
        records.add_supplier(asker.d, who, "veraset", story.DATES, 10, "0" * 64, now=worlds.now())
    assert caught.value.code == "role-missing"


def test_a_demo_takes_no_real_data(tmp_path: Path) -> None:
    real = records._CONTRACT.replace('collection_method = "synthetic"', 'collection_method = "sdk"')
    text = real.format(
        supplier="acme",
        schema="veraset",
        purpose=worlds.PURPOSE,
        first=story.DATES[0],
        last=story.DATES[1],
        devices=10,
        basis="legitimate-interest",
        version="1",
        notice="0" * 64,
        language="en",
    )
    for demo in (True, False):
        root = create(tmp_path / f"demo-{demo}", now=worlds.now(), demo=demo).root
        with Deployment.open(root) as d:
            asker = worlds.Asker(d)

            def add(asker: worlds.Asker = asker) -> None:
                with asker.d.writing() as session:
                    parsed = contracts.parse(text, config=asker.d.config)
                    registry.add(session, parsed, actor=asker.actor("custodian"), now=worlds.now())

            if not demo:
                add()
                continue
            with pytest.raises(Refusal) as caught:
                add()
            assert caught.value.code == "demo-deployment"
            assert "passersby init" in caught.value.next_step
