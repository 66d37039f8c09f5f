"""Runs all benchmarks, one after the other, and prints what they printed below a line about the machine.

    python benchmarks/run.py [--quick]

The figures mean something only on a machine that does nothing else. `--quick` takes some minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
LIBRARIES = ("duckdb", "polars", "h3ronpy", "pyarrow", "numba", "numpy", "opendp", "sqlalchemy")

FULL = (
    ("synth.py",),
    ("ingest.py", "--rows", "20000000", "--plain"),  # the plain script holds all rows in memory
    ("ingest.py", "--rows", "100000000"),
    ("presence.py", "--pings", "97000000", "--devices", "200000"),
    ("erase.py", "--pings", "97000000", "--devices", "200000", "--erase", "10000"),
    ("stays.py",),
    ("ask.py",),
    ("risk.py",),
    ("attacks.py",),
    ("releases.py",),
    ("lake_files.py",),
    ("accuracy.py",),
    ("flows.py",),
)
QUICK = (
    ("synth.py",),
    ("ingest.py", "--rows", "5000000", "--plain"),
    ("presence.py", "--pings", "20000000", "--devices", "40000"),
    ("erase.py", "--pings", "20000000", "--devices", "40000", "--erase", "2000"),
    ("stays.py", "--pings", "5000000"),
    ("ask.py", "--rows", "5000000", "--devices", "40000"),
    ("risk.py", "--pings", "5000000", "--devices", "10000"),
    ("attacks.py",),
    ("releases.py",),
    ("lake_files.py",),
    ("accuracy.py", "--quick"),
    ("flows.py", "--quick"),
)


def main() -> int:
    """Run the scripts; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    chosen = QUICK if parser.parse_args().quick else FULL
    print(machine(), flush=True)
    failed = []
    for script, *arguments in chosen:
        print(f"\n## {script} {' '.join(arguments)}\n", flush=True)
        if subprocess.run([sys.executable, HERE / script, *arguments], check=False).returncode:
            failed.append(script)
    print(f"\nfailed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def machine() -> str:
    """Return one line about the machine and one about the versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, load before {load:.1f}; "
        f"Python {platform.python_version()}\n{versions}"
    )


if __name__ == "__main__":
    sys.exit(main())
