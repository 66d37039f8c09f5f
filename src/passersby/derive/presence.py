"""Derives presence: for each (device, hour) its hierarchically dominant cell, from all deliveries.

The dominant cell is found from the top down: of all cells at resolution 4 the one with most pings of
the hour, of its children the one with most, and so on to resolution 10; ties go to the lowest id. `pings`
counts the pings of the hour in that resolution-10 cell. So each device-hour lies in exactly one cell at
every resolution, and counts add up over cells and hours.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from passersby.derive import batches, kernel
from passersby.derive.tasks import Task
from passersby.lake.write import Work
from passersby.model.schema import PRESENCE

COLUMNS = ("device", "t", "cell", "delivery")
"""Columns of a ping that presence comes from."""


def write(work: Work, task: Task, excluded: kernel.Ints) -> None:
    """Write the presence of one day and bucket.

    Args:
        work: the change of the lake that the file belongs to.
        task: of one day.
        excluded: sorted devices that give no rows.
    """
    offset, (day,) = work.layout.offset, task.days
    paths = [file.path for file in task.pings]
    with work.writer("presence", day, task.bucket, sources=task.sources, until=task.until) as writer:
        for columns in batches.devices(paths, COLUMNS):
            rows = len(columns[0])
            out = tuple(np.empty(rows, kind) for kind in (np.int64, np.int32, np.int64, np.int32))
            filled = kernel.presence(columns, excluded, offset, out)
            writer.append(pa.table([pa.array(column[:filled]) for column in out], schema=PRESENCE))
