"""How fast the generator writes, and in how much memory: one process for each set of formats.

    python benchmarks/synth.py [MILLIONS OF ROWS, 10 by default]

"rows/s" is by the clock, with all cores, from the first day on (compiling and reading the list of
cities come before it); "core us" is processor time for a row. The last line writes four times as
many rows: its peak of memory must be about that of the line before.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from passersby.synth.write import generate

RATE = 60.0
DAYS = 4
SETS = ("veraset", "adtech", "quadrant", "foursquare", "sovrn", "sovrn,veraset,adtech")


def child(suppliers: str, devices: int, days: int) -> None:
    """Write one world and print its figures as JSON."""
    names = tuple(suppliers.split(","))
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder) / "warm", seed=1, devices=100, days=1, suppliers=names)
        begun, busy = time.perf_counter(), time.process_time()
        made = generate(
            Path(folder) / "out",
            seed=1,
            devices=devices,
            days=days,
            suppliers=names,
            pings_per_device_day=RATE,
        )
        taken, busy = time.perf_counter() - begun, time.process_time() - busy
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"rows": made.rows, "bytes": made.bytes, "s": taken, "busy": busy, "peak": peak}))


def measured(suppliers: str, devices: int, days: int) -> str:
    """Run `child` in a process of its own and return a line of the table."""
    command = [sys.executable, __file__, "--child", suppliers, str(devices), str(days)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    got = json.loads(output.splitlines()[-1])
    rate, cost = got["rows"] / got["s"] / 1e6, got["busy"] / got["rows"] * 1e6
    size, peak = got["bytes"] / got["rows"], got["peak"] / 1e6
    return f"{suppliers:24}{got['rows'] / 1e6:10.1f}{rate:12.2f}{cost:12.2f}{size:12.1f}{peak:12.0f}"


def main() -> None:
    """Print the table."""
    millions = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    devices = max(int(millions * 1e6 / RATE / DAYS), 1)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start, {devices:,} devices")
    print(f"{'suppliers':24}{'M rows':>10}{'M rows/s':>12}{'core us':>12}{'bytes/row':>12}{'peak MB':>12}")
    for suppliers in SETS:
        print(measured(suppliers, devices, DAYS), flush=True)
    print(measured(SETS[-1], devices, 4 * DAYS))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
