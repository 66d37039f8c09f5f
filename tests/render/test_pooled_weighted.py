"""Weighted rows share the error of their weights: pooled intervals are not those of independent noise."""

from __future__ import annotations

import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa
import pytest

from passersby.model.schema import PLACE, rows_of
from passersby.render import pooled

CELL = int(h3i.latlng_to_cell(47.4, 8.5, 6))


@pytest.mark.parametrize(("weighted", "half"), [(True, 20.0), (False, 10.0)])
def test_deviations_of_weighted_rows_add_up(weighted: bool, half: float) -> None:
    schema = rows_of(PLACE, binned=False, weighted=weighted)
    row = (100.0, 80.0, 120.0, 100, "", 0.01, 0.0)
    columns = [[CELL] * 4, list(range(4)), *([value] * 4 for value in row)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    found = pooled.by_cell(pa.table(arrays, schema=schema))
    np.testing.assert_allclose(found.mean, [100])
    np.testing.assert_allclose(found.half, [half])
