"""Apache Spark: the same statements on a cluster, for what one machine cannot hold.

Works with a classic master (local, standalone, YARN, Kubernetes) and with Spark Connect (`sc://`), which
Sail speaks too. Executors must reach the lake's files under the same paths. Needs the extra `spark`; a
classic master also needs Java 17 or newer.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.engines import dialect
from passersby.engines.base import NOBODY, devices_table, failed, normalised, schema_of
from passersby.engines.spill import Spill
from passersby.errors import DiskFull, NotReady

_CONNECT = "sc://"
_Errors = tuple[type[Exception], ...]
_QUIET = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")


class Spark:
    """The distributed engine.

    Args:
        master: `local[N]`, `spark://HOST:PORT`, `yarn`, `k8s://...`, or `sc://HOST:PORT`.
        spill: folder of this machine for what does not fit in memory; may be shared with other engines.
        settings: further Spark settings by name.

    Raises:
        NotReady: pyspark or Java is not installed.
        EngineFailed: the master does not answer.
    """

    name = "spark"

    def __init__(self, master: str, *, spill: Path, settings: Mapping[str, str] | None = None) -> None:
        _check_installed(master)
        with warnings.catch_warnings():
            # pyspark warns about the versions of libraries that this engine does not use with it
            warnings.simplefilter("ignore")
            self._spill = Spill(spill)
            self._errors, self._session = _start(master, self._spill.next(), settings or {})

    def query(
        self,
        sql: str,
        tables: Mapping[str, Sequence[Path]],
        values: Mapping[str, pa.Table] | None = None,
        *,
        without: npt.NDArray[np.int64] = NOBODY,
    ) -> pa.Table:
        """Run one SELECT; see `engines.base.Engine`."""
        text = dialect.to_spark(sql)
        given = dict(values or {})
        given.update({name: schema_of(name).empty_table() for name, paths in tables.items() if not paths})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                # views live in a session: two statements at once do not see each other's
                session = self._session.newSession()
                gone = session.createDataFrame(devices_table(without)) if len(without) else None
                for name, paths in tables.items():
                    if paths:
                        rows = session.read.parquet(*map(str, paths))
                        kept = rows if gone is None else rows.join(gone, "device", "left_anti")
                        kept.createOrReplaceTempView(name)
                for name, table in given.items():
                    session.createDataFrame(table).createOrReplaceTempView(name)
                return normalised(session.sql(text).toArrow())
            except self._errors as error:
                raise _translated(str(error)) from None

    def close(self) -> None:
        """Stop the session and remove what was spilled on this machine."""
        self._session.stop()
        self._spill.close()


def _check_installed(master: str) -> None:
    if importlib.util.find_spec("pyspark") is None:
        raise NotReady("Spark is not installed.", "Install it with `pip install 'passersby[spark]'`.")
    java = os.environ.get("JAVA_HOME") or shutil.which("java")
    if not master.startswith(_CONNECT) and not java:
        raise NotReady(
            "Spark needs Java and there is none.",
            "Install Java 17 or newer, or name a Spark Connect server (sc://HOST:PORT).",
        )


def _start(master: str, spill: Path, settings: Mapping[str, str]) -> tuple[_Errors, Any]:
    """Return the base errors of pyspark and of its bridge to Java, and a session."""
    from pyspark.errors import PySparkException  # noqa: PLC0415  (an extra that may be missing)
    from pyspark.sql import SparkSession  # noqa: PLC0415

    for logger in _QUIET:
        # they write whole statements and rows of failing ones to the terminal
        logging.getLogger(logger).disabled = True
    builder = SparkSession.builder.appName("passersby")
    fixed = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}
    if not master.startswith(_CONNECT):
        fixed |= {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "OFF",
            "spark.local.dir": str(spill),
            "spark.io.encryption.enabled": "true",
        }
    for key, value in {**settings, **fixed}.items():
        builder = builder.config(key, value)
    builder = builder.remote(master) if master.startswith(_CONNECT) else builder.master(master)
    # py4j is pyspark's bridge to Java; what fails below Spark comes out of it bare
    errors = (PySparkException, importlib.import_module("py4j.protocol").Py4JError)
    try:
        return errors, builder.getOrCreate()
    except (*errors, RuntimeError, OSError):
        raise failed("Spark could not be started or reached") from None


def _translated(text: str) -> Exception:
    """Return our error for Spark's. Its text only chooses among constants: it can quote rows."""
    if "no space left on device" in text.lower():
        return DiskFull(
            "The disk of a Spark machine is full.",
            "Free some space and run the command again; nothing was changed.",
        )
    return failed("Spark could not run a statement")
