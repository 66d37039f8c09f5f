"""An audit is recorded whatever it finds, labels say so, and the whole path is attacked (slow)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import worlds
from passersby.deployment import audits, scratch
from passersby.errors import IntegrityError, Refusal, UsageError
from passersby.gate import gate
from passersby.policy import audits as records
from passersby.policy.audits import Audit, Outcome
from passersby.privacy.label import NOT_AUDITED
from passersby.privacy.noise import Integers, OpenDPSampler
from passersby.risk import canaries
from passersby.store.tables import File, Spend

pytestmark = pytest.mark.slow

FINE = Outcome("presence", 1.0, 1e-7, 0.0812, 0.95, 2000, 200, 117, records.software())


def above(**changed: Any) -> Outcome:
    return Outcome(**{**vars(FINE), "bound": 1.5, "correct": 170, **changed})


def run(
    asker: worlds.Asker, outcome: Outcome, monkeypatch: pytest.MonkeyPatch, person: str = "custodian"
) -> Audit:
    """Run an audit whose attack finds `outcome`."""
    monkeypatch.setattr(audits, "attack", lambda *_, **__: outcome)
    return audits.run(asker.d, measure=outcome.measure, actor=asker.actor(person), now=worlds.now())


def label(asker: worlds.Asker, day: int = 11) -> Any:
    """Return what the label of a new answer says of audits."""
    return asker.ask(period=f"2026-05-{day}", epsilon=0.2).release.label["audit"]


def test_labels_show_the_newest_audit(asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert label(asker) == NOT_AUDITED
    done = run(asker, FINE, monkeypatch)
    entry = asker.entries()[-1]
    assert (entry["kind"], entry["measure"], entry["by"]) == ("audit.run", "presence", "custodian")
    assert (entry["epsilon"], entry["delta"], entry["bound"]) == ("1", "1e-07", "0.0812")
    assert (entry["canaries"], entry["guesses"], entry["correct"]) == (2000, 200, 117)
    with asker.d.database.read() as session:
        assert records.list_all(session) == [done]
    run(asker, Outcome(**{**vars(FINE), "measure": "visitors", "bound": 0.3}), monkeypatch)
    said = label(asker, 12)
    assert (said["measure"], said["empirical_epsilon_lower_bound"]) == (
        "presence",
        0.0812,
    )  # of its own measure
    assert (said["claimed_epsilon"], said["confidence"], said["canaries"]) == (1.0, 0.95, 2000)
    assert (said["runs"], said["runs_above_claim"], said["result"]) == (2, 0, records.BELOW)
    run(asker, Outcome(**{**vars(FINE), "bound": 0.1}), monkeypatch)
    assert label(asker, 13)["empirical_epsilon_lower_bound"] == 0.1


def test_more_than_is_claimed_is_loud_recorded_and_stays(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(IntegrityError, match=r"least 1\.50, where 1\.00 is claimed \(170 of 200") as caught:
        run(asker, above(), monkeypatch)
    assert "freeze" in caught.value.next_step
    run(asker, FINE, monkeypatch)  # it does not go away by trying again
    said = label(asker)
    assert (said["result"], said["empirical_epsilon_lower_bound"]) == (records.ABOVE, 1.5)
    assert (said["runs"], said["runs_above_claim"]) == (2, 1)


def test_audits_of_another_version_do_not_count(asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IntegrityError):
        run(asker, above(software="0.0.1"), monkeypatch)
    assert label(asker) == NOT_AUDITED


def test_only_a_custodian_runs_one(asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal) as caught:
        run(asker, FINE, monkeypatch, person="anna")
    assert caught.value.code == "role-missing"
    assert (asker.entries()[-1]["kind"], asker.entries()[-1]["act"]) == ("act.refused", "audit.run")
    with pytest.raises(Refusal), asker.d.writing() as session:
        records.record(session, FINE, actor=asker.actor("anna"), now=worlds.now())


@pytest.mark.parametrize("wrong", [{"measure": "residents"}, {"epsilon": 0.49}, {"epsilon": float("nan")}])
def test_what_cannot_be_audited_is_said(asker: worlds.Asker, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        audits.run(asker.d, actor=asker.actor("custodian"), now=worlds.now(), **wrong)


def test_two_scratch_folders_at_once_leave_each_other_alone(asker: worlds.Asker) -> None:
    with scratch.folder(asker.d) as first:
        with scratch.folder(asker.d) as second:
            assert first != second
        assert first.is_dir()
        assert not second.exists()
    assert not first.exists()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question about one hour instead of several."""
    monkeypatch.setattr(audits, "_PINGS", 1)
    monkeypatch.setattr(gate, "TICK_S", 0.001)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("measure", list(audits.HOURS))
def test_the_whole_path_gives_no_more_than_is_claimed(asker: worlds.Asker, measure: str) -> None:
    steps: list[str] = []
    before = _files(asker.d.layout.root)
    done = audits.run(
        asker.d, measure=measure, actor=asker.actor("custodian"), now=worlds.now(), say=steps.append
    )
    found = done.outcome
    assert [step[0] for step in steps] == list("123456")
    assert found.bound < found.epsilon == 1.0
    assert (found.canaries, found.guesses) == (2000, 200)
    assert found.correct > 70  # some 117, give or take seven: the attack is not the wrong way round
    assert _files(asker.d.layout.root) - before <= {"people", "in-use"}
    with asker.d.database.read() as session:
        assert session.scalar(select(func.count()).select_from(File)) == 0
        assert session.scalar(select(func.count()).select_from(Spend)) == 0


@pytest.mark.usefixtures("quick")
def test_a_fifth_of_the_noise_is_caught_on_the_whole_path(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = OpenDPSampler.gaussian

    def less(self: OpenDPSampler, values: Integers, scale: float) -> Integers:
        return real(self, values, scale / 5)

    monkeypatch.setattr(OpenDPSampler, "gaussian", less)
    with pytest.raises(IntegrityError, match="An attack on made-up data showed"):
        audits.run(asker.d, actor=asker.actor("custodian"), now=worlds.now(), count=6000)
    assert float(asker.entries("audit.run")[-1]["bound"]) > 1.0


@pytest.mark.usefixtures("quick")
def test_an_audit_that_sees_nothing_is_none(asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canaries, "crowd_for", lambda *_: 1)
    with pytest.raises(IntegrityError, match="saw only 0%"):
        audits.run(asker.d, actor=asker.actor("custodian"), now=worlds.now(), count=300)
    assert asker.entries("audit.run") == []


def _files(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}
