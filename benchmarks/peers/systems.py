"""Answers the questions of `run.py` with another system: `python systems.py NAME FOLDER OUT.npz`.

It runs in a virtual environment that has that system, NumPy and PyArrow, and not this package. Each function
below imports and starts its system and returns the work that is timed: from a Parquet file to numbers.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Numbers = npt.NDArray[np.float64]
Work = Callable[[], Numbers]
Setting = dict[str, Any]


def pipelinedp(folder: Path, setting: Setting) -> Work:
    """PipelineDP, on one core without Beam or Spark."""
    dp = import_module("pipeline_dp")

    def work() -> Numbers:
        table = pq.read_table(folder / "keyed.parquet")
        rows = list(zip(table["device"].to_pylist(), table["key"].to_pylist(), strict=True))
        budget = dp.NaiveBudgetAccountant(total_epsilon=setting["epsilon"], total_delta=setting["delta"])
        params = dp.AggregateParams(
            metrics=[dp.Metrics.PRIVACY_ID_COUNT],
            noise_kind=dp.NoiseKind.GAUSSIAN,
            max_partitions_contributed=setting["most_keys"],
            max_contributions_per_partition=1,
        )
        columns = dp.DataExtractors(
            privacy_id_extractor=lambda row: row[0],
            partition_extractor=lambda row: row[1],
            value_extractor=lambda _row: 0,
        )
        engine = dp.DPEngine(budget, dp.LocalBackend())
        found = engine.aggregate(rows, params, columns, public_partitions=list(range(setting["keys"])))
        budget.compute_budgets()  # the result is lazy: it needs this first
        return _dense(((key, value.privacy_id_count) for key, value in found), setting["keys"])

    return work


def smartnoise(folder: Path, setting: Setting, *, censored: bool) -> Work:
    """SmartNoise SQL. It has no public keys: it hides those with few devices, or leaks which have any."""
    sn, pd = import_module("snsql"), import_module("pandas")
    columns = {"device": {"type": "int", "private_id": True}, "key": {"type": "int"}}
    options = {
        "max_ids": setting["most_keys"],
        "sample_max_ids": True,
        "clamp_counts": False,
        "censor_dims": censored,
    }
    metadata = {"": {"week": {"keyed": {"rows": setting["rows"], **options, **columns}}}}

    def work() -> Numbers:
        frame = pd.read_parquet(folder / "keyed.parquet")
        privacy = sn.Privacy(epsilon=setting["epsilon"], delta=setting["delta"])
        reader = sn.from_df(frame, privacy=privacy, metadata=metadata)
        found = reader.execute("SELECT key, COUNT(DISTINCT device) AS n FROM week.keyed GROUP BY key")
        return _dense(found[1:], setting["keys"])  # the first row holds the names

    return work


def tumult(folder: Path, setting: Setting) -> Work:
    """Tumult Analytics on Spark. One key column: a group of two would be bounded by rows alone."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    analytics = import_module("tmlt.analytics")
    spark = (
        import_module("pyspark.sql")
        .SparkSession.builder.master(f"local[{os.cpu_count()}]")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))  # it writes tables there
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")

    def work() -> Numbers:
        budget = analytics.RhoZCDPBudget(setting["micro_rho"] / 1e6)
        session = analytics.Session.from_dataframe(
            privacy_budget=budget,
            source_id="keyed",
            dataframe=spark.read.parquet(str(folder / "keyed.parquet")),
            protected_change=analytics.AddRowsWithID(id_column="device"),
        )
        keys = spark.range(setting["keys"]).withColumnRenamed("id", "key")
        query = (
            analytics.QueryBuilder("keyed")
            .enforce(analytics.MaxGroupsPerID("key", setting["most_keys"]))
            .enforce(analytics.MaxRowsPerGroupPerID("key", 1))
            .groupby(analytics.KeySet.from_dataframe(keys))
            .count()
        )
        found = session.evaluate(query, budget).toPandas()
        return _dense(zip(found["key"], found["count"], strict=True), setting["keys"])

    return work


def opendp_polars(folder: Path, setting: Setting) -> Work:
    """OpenDP's Polars queries.

    Of k groups it keeps k - 1 (ranks begin at 1, and it asks for rank < k), so one more is asked for. It
    keeps each device's lowest keys: `keep="sample"` fails in this version.
    """
    dp, pl = import_module("opendp.prelude"), import_module("polars")
    dp.enable_features("contrib")

    def work() -> Numbers:
        context = dp.Context.compositor(
            data=pl.scan_parquet(folder / "keyed.parquet"),
            privacy_unit=dp.unit_of(contributions=1, identifier=pl.col("device")),
            privacy_loss=dp.loss_of(rho=setting["micro_rho"] / 1e6),
            split_evenly_over=1,
        )
        query = (
            context.query()
            .truncate_per_group(1, by=["key"])
            .truncate_num_groups(setting["most_keys"] + 1, by=["key"], keep="first")
            .group_by("key")
            .agg(dp.len(signed=True).alias("n"))
            .with_keys(pl.LazyFrame({"key": np.arange(setting["keys"])}))
        )
        found = query.release().collect()
        return _dense(zip(found["key"], found["n"], strict=True), setting["keys"])

    return work


def dp_mobility_report(folder: Path, setting: Setting) -> Work:
    """dp-mobility-report, with all of its budget for the one matrix."""
    dmr, pd, gpd = (import_module(name) for name in ("dp_mobility_report", "pandas", "geopandas"))
    polygon = import_module("shapely.geometry").Polygon
    flows = import_module("dp_mobility_report.constants").OD_FLOWS
    outlines = json.loads((folder / "outlines.json").read_text())
    names = list(outlines)
    tiles = gpd.GeoDataFrame(
        {"tile_id": names, "tile_name": names},
        geometry=[polygon(ring) for ring in outlines.values()],
        crs="EPSG:4326",
    )
    place = {name: i for i, name in enumerate(names)}

    def work() -> Numbers:
        points = pd.read_parquet(folder / "points.parquet")
        points["datetime"] = pd.to_datetime(points.pop("t"), unit="s")
        report = dmr.DpMobilityReport(
            points,
            tiles,
            privacy_budget=setting["epsilon"],
            user_privacy=True,
            max_trips_per_user=setting["most_trips"],
            analysis_selection=[flows],
            disable_progress_bar=True,
        ).report
        found = report[flows].data
        pairs = found["origin"].map(place) * len(names) + found["destination"].map(place)
        return _dense(zip(pairs, found["flow"], strict=True), setting["pairs"])

    return work


SYSTEMS: dict[str, tuple[str, Callable[[Path, Setting], Work]]] = {
    "pipelinedp": ("pipeline-dp", pipelinedp),
    "smartnoise": ("smartnoise-sql", partial(smartnoise, censored=True)),
    "smartnoise-open": ("smartnoise-sql", partial(smartnoise, censored=False)),
    "tumult": ("tmlt.analytics", tumult),
    "opendp-polars": ("opendp", opendp_polars),
    "dp-mobility-report": ("dp-mobility-report", dp_mobility_report),
}


def main() -> None:
    """Answer one question; print seconds and version."""
    name, folder, target = sys.argv[1:]
    warnings.simplefilter("ignore")  # theirs
    distribution, system = SYSTEMS[name]
    setting = json.loads((Path(folder) / "setting.json").read_text())
    begun = time.perf_counter()
    work = system(Path(folder), setting)
    started = time.perf_counter()
    numbers = work()
    ended = time.perf_counter()
    np.savez(target, numbers=numbers)
    times = {"seconds": ended - started, "start": started - begun}
    print(json.dumps({"version": version(distribution), **times}), flush=True)


def _dense(pairs: Any, size: int) -> Numbers:  # noqa: ANN401
    """Return an array of `size` numbers from (index, number); 0 where there is none."""
    found = np.zeros(size)
    for index, number in pairs:
        found[int(index)] = number
    return found


if __name__ == "__main__":
    main()
