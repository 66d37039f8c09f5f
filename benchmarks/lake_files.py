"""Bytes, writing and reading of pings as the lake's files have them, and with every column compressed.

    python benchmarks/lake_files.py [--devices 30000]

One day of generated pings; the two ways take turns, and the least processor time of eight rounds counts.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.lake.layout import ENCODINGS, ROW_GROUP
from presence import FIRST_DAY, NOW, World, _deployment, _fill

ROUNDS = 8


def pings(devices: int) -> pa.Table:
    """Return the pings of one day, as they lie in the lake."""
    with tempfile.TemporaryDirectory() as folder:
        lake = _deployment(Path(folder))
        world = World.of(devices, 69, np.random.default_rng(7))
        _fill(lake, world, 1, 1.0, range(FIRST_DAY, FIRST_DAY + 1), seed=1)
        with lake.snapshot(NOW) as snapshot:
            return pa.concat_tables([pq.read_table(file.path) for file in snapshot.files("pings")])


def main() -> None:
    """Write, read, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--devices", type=int, default=30_000)
    rows = pings(parser.parse_args().devices)
    in_use = ENCODINGS["pings"]
    ways = {"as in use": in_use, "all compressed": replace(in_use, dense=())}
    writing, reading, size = (dict.fromkeys(ways, float("inf")) for _ in range(3))
    for _ in range(ROUNDS):
        for name, encoding in ways.items():
            sink, begun = io.BytesIO(), time.process_time()
            with pq.ParquetWriter(sink, rows.schema, **encoding.options(rows.column_names)) as writer:
                writer.write_table(rows, row_group_size=ROW_GROUP)
            writing[name] = min(writing[name], time.process_time() - begun)
            data, begun = sink.getvalue(), time.process_time()
            pq.ParquetFile(io.BytesIO(data)).read(use_threads=False)
            reading[name] = min(reading[name], time.process_time() - begun)
            size[name] = len(data)
    number = rows.num_rows
    print(f"{number:,} pings")
    for name in ways:
        spent = writing[name] / number * 1e9, reading[name] / number * 1e9
        print(f"{name:15} {size[name] / number:.3f} B   {spent[0]:6.1f} ns written   {spent[1]:6.1f} ns read")


if __name__ == "__main__":
    main()
