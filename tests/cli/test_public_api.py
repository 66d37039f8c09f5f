"""The public face of the package: what `import passersby` shows, and that it works."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest

import passersby
import worlds
from passersby.gate import gate

pytestmark = pytest.mark.slow


def test_all_is_what_is_visible() -> None:
    assert dir(passersby) == sorted(passersby.__all__)
    own = {
        name
        for name, value in vars(passersby).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert own - {"annotations", "TYPE_CHECKING", "import_module"} <= set(passersby.__all__)


def test_every_name_is_there() -> None:
    namespace: dict[str, object] = {}
    exec("from passersby import *", namespace)  # noqa: S102 (what a user may write)
    assert set(passersby.__all__) == namespace.keys() - {"__builtins__"}
    assert all(value.__doc__ for name, value in namespace.items() if name != "__builtins__")


def test_every_name_has_a_home_that_calls_it_so() -> None:
    for name, home in passersby._HOMES.items():
        value = getattr(passersby, name)
        assert (value.__module__, value.__name__) == (home, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'follow'"):
        passersby.follow  # noqa: B018 (looking it up is the test)


def test_it_is_typed() -> None:
    assert files("passersby").joinpath("py.typed").is_file()


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import passersby, sys; print([m for m in sys.modules if m.startswith('passersby.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_deployment_by_it_alone(tmp_path: Path) -> None:
    made = passersby.create(tmp_path / "d", now=worlds.now())
    with passersby.open(made.root) as d:
        assert isinstance(d, passersby.Deployment)
        assert d.actor().id == "custodian"
        assert all(check.ok for check in d.doctor(deep=False))
    with pytest.raises(passersby.PassersbyError):
        passersby.open(tmp_path)


def test_a_question_by_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    world = worlds.build(tmp_path, suppliers=("veraset",), devices=40, dirt=False)
    request = passersby.Request(
        measure="visitors",
        period="2026-W20",
        every="week",
        resolution=4,
        area=passersby.Area.from_bbox(6, 46, 10, 47.7, resolution=4),
        epsilon=0.5,
        licence=worlds.LICENCE,
        purpose=worlds.PURPOSE,
        case=worlds.CASE,
    )
    with passersby.open(str(world.root)) as d:
        answer = d.ask(request, d.actor(str(world.key())))
        assert isinstance(answer, passersby.Answer)
        assert isinstance(answer.release, passersby.Release)
        assert answer.release.rows.num_rows > 0
        with pytest.raises(passersby.Refusal):
            d.ask(request, d.actor(str(world.key("paula"))))
