"""Compares this package with other tools: one statistic, the same data, unit, epsilon and delta.

    python benchmarks/peers/run.py [--only NAME] [--quick] [--devices 30000] [--venvs FOLDER]

Every other tool gets a virtual environment of its own, made at its first run (about 4 GB in all, from PyPI;
Tumult Analytics needs Java 17 too). Each answer is made in a process of its own. One that cannot be installed
or fails is reported with its reason, and the others go on; the exit status is then 1.

*RMSE* is over all keys (cell and hour, or pair of cells), *RMSE, no negatives* after all numbers below zero
were read as zero, which costs no privacy. *WAPE* is the sum of the absolute errors over the true total, also
without negatives. *Seconds* are from Parquet files to numbers, without imports and without starting Spark,
which stand in *start*. *Memory* is the most that all processes of the tool held together, shared pages
counted in each (on Linux only).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent
PATIENCE_S = 1800
DEVICES, QUICK_DEVICES = 30_000, 3_000

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class System:
    """A way to answer one of the two questions.

    Args:
        name: as `ours.py` or `systems.py` know it.
        title: words for the table.
        truth: array of `truth.npz` that it estimates.
        venv: name of its environment; "" for this package's own.
        requirements: what is installed there.
    """

    name: str
    title: str
    truth: str
    venv: str = ""
    requirements: tuple[str, ...] = ()


_SMARTNOISE = ("smartnoise-sql==1.0.10", "pyarrow")
SYSTEMS = (
    System("passersby", "Passersby", "presence"),
    System("passersby-one-level", "Passersby's weights and noise, one level, bound 40", "presence"),
    System(
        "pipelinedp",
        "PipelineDP, Gaussian, local",
        "presence",
        "pipelinedp",
        ("pipeline-dp==0.3.1", "pyarrow"),
    ),
    System("smartnoise", "SmartNoise SQL, as it comes", "presence", "smartnoise", _SMARTNOISE),
    System("smartnoise-open", "SmartNoise SQL, rare keys not hidden", "presence", "smartnoise", _SMARTNOISE),
    System("tumult", "Tumult Analytics", "presence", "tumult", ("tmlt.analytics==0.21.0", "pyarrow")),
    System(
        "opendp-polars",
        "OpenDP Polars, keep=first",
        "presence",
        "opendp",
        ("opendp[polars]==0.16.0", "pyarrow"),
    ),
    System("passersby-flows", "Passersby", "flows"),
    System(
        "dp-mobility-report",
        "dp-mobility-report, 10 trips",
        "flows",
        "dp-mobility-report",
        ("dp-mobility-report==0.2.11", "pandas<3", "scikit-learn<1.6", "pyarrow"),  # it fails with newer ones
    ),
)
QUESTIONS = {
    "presence": "Distinct devices in each cell of resolution 7 and hour of a week",
    "flows": "Trips between each two cells of resolution 7 in a week",
}


class Failed(Exception):
    """A tool could not be installed, or did not answer; the reason is its message."""


def main() -> int:
    """Run all systems; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", action="append", choices=[system.name for system in SYSTEMS])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_DEVICES:,} devices")
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--venvs", type=Path, default=HERE / ".venvs", help="where environments are kept")
    given = parser.parse_args()
    devices = QUICK_DEVICES if given.quick else given.devices
    chosen = [system for system in SYSTEMS if not given.only or system.name in given.only]
    failed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, HERE / "data.py", folder, str(devices)], check=True)
        setting = json.loads((folder / "setting.json").read_text())
        print(_machine())
        with np.load(folder / "truth.npz") as file:
            truths = dict(file)
        for truth, question in QUESTIONS.items():
            own = [system for system in chosen if system.truth == truth]
            if own:
                _print_head(question, truths[truth], setting)
            for system in own:
                try:
                    print(_row(system, folder, truths[truth], given.venvs), flush=True)
                except Failed as reason:
                    failed.append(system.name)
                    print(f"| {system.title} | failed: {reason} |", flush=True)
    return 1 if failed else 0


def python_of(system: System, venvs: Path) -> Path:
    """Return the Python that runs a system, after making its environment where there is none.

    Raises:
        Failed: it cannot be installed.
    """
    if not system.venv:
        return Path(sys.executable)
    home = venvs.resolve() / system.venv
    python, made = home / "bin" / "python", home / "requirements.txt"
    wanted = "\n".join(system.requirements)
    if not made.exists() or made.read_text() != wanted:
        _checked([sys.executable, "-m", "venv", "--clear", home])
        _checked(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *system.requirements]
        )
        made.write_text(wanted)
    return python


def _row(system: System, folder: Path, truth: Numbers, venvs: Path) -> str:
    """Run one system and return its row of the table."""
    python = python_of(system, venvs)
    script, target = HERE / ("systems.py" if system.venv else "ours.py"), folder / f"{system.name}.npz"
    hidden = {"PYTHONPATH"} if system.venv else set()  # another tool must not find this package's libraries
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    printed, peak = _measured([python, script, system.name, folder, target], environment)
    found = json.loads(printed.splitlines()[-1])
    with np.load(target) as file:
        errors = _errors(file["numbers"], truth)
    title = system.title if not system.venv else f"{system.title} ({found['version']})"
    memory = f"{peak / 2**30:.1f} GB" if peak else "-"
    return f"| {title} | {errors} | {found['seconds']:.1f} | {found['start']:.1f} | {memory} |"


def _errors(numbers: Numbers, truth: Numbers) -> str:
    positive = np.maximum(numbers, 0)
    rmse = [float(np.sqrt(((values - truth) ** 2).mean())) for values in (numbers, positive)]
    wape = float(np.abs(positive - truth).sum() / truth.sum())
    return f"{rmse[0]:.1f} | {rmse[1]:.1f} | {wape:.2f}"


def _print_head(question: str, truth: Numbers, setting: dict[str, Any]) -> None:
    size = f"{setting['devices']:,} devices, {int(truth.sum()):,} in {len(truth):,} keys"
    print(
        f"\n{question}: {size}; epsilon {setting['epsilon']:g}, delta {setting['delta']:g}, a device's week\n"
    )
    print("| | RMSE | RMSE, no negatives | WAPE | seconds | start | memory |")
    print(f"|{'---|' * 7}")
    print(f"| zeros everywhere | {_errors(np.zeros(len(truth)), truth)} | | | |", flush=True)


def _checked(command: list[str | Path]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Failed(_last_line(done.stderr))


def _measured(command: list[str | Path], environment: dict[str, str]) -> tuple[str, int]:
    """Return what a command printed, and the most memory that its processes held together (bytes).

    Raises:
        Failed: it ended with an error, or did not end.
    """
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, start_new_session=True
        )
        peaks = [0]
        watcher = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
        watcher.start()
        try:
            printed, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise Failed(f"no answer after {PATIENCE_S} s") from None
        watcher.join()
        errors.seek(0)
        if process.returncode:
            raise Failed(_last_line(errors.read()))
    return printed, peaks[0]


def _watch(process: subprocess.Popen[str], peaks: list[int]) -> None:
    """Note how much memory the processes of a session hold, ten times a second, while the first one runs."""
    while process.poll() is None:
        peaks.append(sum(_memory(stat, process.pid) for stat in Path("/proc").glob("[0-9]*/stat")))
        peaks[:] = [max(peaks)]
        time.sleep(0.1)


def _memory(stat: Path, session: int) -> int:
    """Return the resident bytes of a process if it is one of the session (proc(5), fields 6 and 24)."""
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:  # it ended
        return 0
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if int(fields[3]) == session else 0


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def _machine() -> str:
    memory, load = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, os.getloadavg()[0]
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, load before {load:.1f}; "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main())
