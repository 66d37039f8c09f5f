"""Writes the stays and trips of a run of days into the lake: one file of each for each day.

Both are filed by the day on which they begin.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pyarrow as pa

from passersby.derive import batches, stays
from passersby.derive.kernel import Ints
from passersby.derive.tasks import Task
from passersby.lake.write import Work
from passersby.model.period import DAY
from passersby.model.schema import TABLES

COLUMNS = ("device", "t", "lat_e5", "lon_e5", "accuracy_m", "cell", "delivery")
"""Columns of a ping that stays come from."""


def write(work: Work, task: Task, excluded: Ints) -> None:
    """Write the stays and trips of the days of one run and bucket.

    Args:
        work: the change of the lake that the files belong to.
        task: of a run of days in one period.
        excluded: sorted devices that give no rows.
    """
    paths = [file.path for file in task.pings]
    with ExitStack() as stack:
        writers = {
            (table, day): stack.enter_context(
                work.writer(table, day, task.bucket, sources=task.sources, until=task.until)
            )
            for table in task.tables
            for day in task.days
        }
        for columns in batches.devices(paths, COLUMNS):
            stayed, moved = stays.derive(columns, excluded)
            for table, rows, begins in (("stays", stayed, stayed.arrival), ("trips", moved, moved.departure)):
                found = pa.table([pa.array(column) for column in rows], schema=TABLES[table])
                day = (begins.astype(np.int64) + work.layout.offset) // DAY
                for number in np.unique(day).tolist():
                    writers[table, number].append(found.filter(pa.array(day == number)))
