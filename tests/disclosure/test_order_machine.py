"""An order's life as a machine: whatever people do in whatever order, the rules hold at every moment."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, text

from disclosure.opened import unsealed
from disclosure.scene import ANA, BEA, NOBODY, Bench
from passersby.deployment.opened import Deployment
from passersby.disclosure import life, release
from passersby.disclosure.testcourt import Court
from passersby.errors import PassersbyError
from passersby.model.period import DAY, Span
from passersby.store.notice_tables import Notice
from passersby.store.order_tables import HeldRows

PEOPLE = st.sampled_from(["lea", "lars", "paul", "rolf", "both", "triple", "olga", "custodian"])
ROLES = {"lea": "legal", "lars": "legal", "paul": "privacy"}
DEVICES = {(ANA,): 48, (BEA,): 48, (NOBODY,): 0, (ANA, NOBODY): 48, (ANA, BEA): 96}


class Model:
    """What should be true of one order."""

    def __init__(self, devices: tuple[str, ...], expires: int, *, held: bool) -> None:
        self.devices = devices
        self.expires = expires
        self.approvals: dict[str, str] = {}
        self.held = held
        self.state = "verified"

    def may_be_approved(self, role: str, now: int) -> bool:
        return self.state == "verified" and now < self.expires and role not in self.approvals


class Orders(RuleBasedStateMachine):
    """Orders of one deployment whose pings expire at some time."""

    numbers: Bundle[int] = Bundle("numbers")
    filled: Path
    court: Court

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        root = shutil.copytree(self.filled, self.folder / "d")
        from worlds import now  # noqa: PLC0415 (a new instant for each run)

        self.bench = Bench(Deployment.open(root, now=now()), self.court, now())
        self.model: dict[int, Model] = {}
        self.clock = self.bench.now
        self.submitted = 0
        self.whole = True  # the pings are in the lake still

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.d.close()
            shutil.rmtree(self.folder)

    def tried(self, action: Any) -> Any:
        try:
            return action()
        except PassersbyError:
            return None

    @rule(target=numbers, devices=st.sampled_from(sorted(DEVICES)), who=PEOPLE, days=st.integers(1, 50))
    def submit(self, devices: tuple[str, ...], who: str, days: int) -> int:
        self.submitted += 1
        expires = self.bench.now + days * DAY
        asked = self.bench.order(
            reference=str(self.submitted), devices=devices, valid=Span(self.bench.now, expires)
        )
        document = self.bench.document(asked)
        number: int | None = self.tried(lambda: self.bench.submit(document, person=who, at=self.clock))
        may = who != "olga" and self.clock < min(expires, self.bench.now + 30 * DAY)
        assert (number is not None) == may
        if number is None:
            return 0
        self.model[number] = Model(devices, expires, held=self.whole)
        assert self.tried(lambda: self.bench.submit(document, person=who, at=self.clock)) is None
        return number

    @rule(number=numbers, who=PEOPLE)
    def approve(self, number: int, who: str) -> None:
        done = self.tried(lambda: self.bench.approve(number, who, at=self.clock))
        model = self.model.get(number)
        role = ROLES.get(who, "")
        may = role != "" and model is not None and model.may_be_approved(role, self.clock)
        assert (done is not None) == may
        if may and model is not None:
            model.approvals[role] = who
            model.state = "approved" if len(model.approvals) == 2 else "verified"

    @rule(number=consumes(numbers), who=st.sampled_from(["paul", "olga", "custodian"]))
    def refuse(self, number: int, who: str) -> None:
        actor = self.bench.actor(who)
        chosen: dict[str, Any] = {"code": "ConflictOfLaw", "reason": "x", "actor": actor, "now": self.clock}
        done = self.tried(lambda: life.refuse(self.bench.d.orders, number, **chosen))
        model = self.model.get(number)
        may = model is not None and who != "custodian" and model.state in {"verified", "approved"}
        assert (done is not None) == may
        if may and model is not None:
            model.state = "refused"

    @rule(number=numbers, who=st.sampled_from(["rolf", "rolf", "lea", "triple"]))
    def disclose(self, number: int, who: str) -> None:
        sealed = self.tried(lambda: self.bench.disclose(number, who, at=self.clock))
        model = self.model.get(number)
        may = model is not None and who == "rolf" and model.state == "approved" and self.clock < model.expires
        assert (sealed is not None) == may
        if may and model is not None:
            found = unsealed(sealed)
            wanted = DEVICES[model.devices] if model.held else 0
            assert len(found.pings) == wanted
            assert {row["device"] for row in found.pings} <= set(model.devices)
            model.state = "disclosed"

    @rule(days=st.sampled_from([1, 10, 31]))
    def expire(self, days: int) -> None:
        self.clock += days * DAY
        self.bench.d.expire(now=self.clock)
        self.whole = self.whole and self.clock < self.bench.now + 30 * DAY - 3600
        for model in self.model.values():
            if model.state in {"verified", "approved"} and self.clock >= model.expires:
                model.state = "lapsed"

    @invariant()
    def states_agree(self) -> None:
        if not hasattr(self, "bench"):
            return
        found = {each.number: each for each in life.list_all(self.bench.d.orders)}
        assert {n: each.state for n, each in found.items()} == {n: m.state for n, m in self.model.items()}
        for number, each in found.items():
            if each.state == "disclosed":
                assert {a.role for a in each.approvals} == {"legal", "privacy"}
                assert each.package_sha256
            assert {a.role: a.person for a in each.approvals} == self.model[number].approvals
        with self.bench.d.database.read() as session:
            open_ones = {n for n, m in self.model.items() if m.state in {"verified", "approved"}}
            assert set(session.scalars(select(HeldRows.order))) <= open_ones
            notices = session.scalar(select(func.count()).select_from(Notice))
            assert notices == sum(len(m.devices) for m in self.model.values() if m.state == "disclosed")
            used = session.execute(text("SELECT count(*) FROM court_order WHERE remaining = 0")).scalar()
            assert used == sum(m.state == "disclosed" for m in self.model.values())


@pytest.mark.slow
def test_the_rules_hold_whatever_people_do(
    filled: Path, court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Orders, "filled", filled, raising=False)
    monkeypatch.setattr(Orders, "court", court, raising=False)
    monkeypatch.setattr(release, "TICK_S", 0.001)
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Orders,
        settings=settings(
            max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=checks
        ),
    )
