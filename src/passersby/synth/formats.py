"""File formats of the suppliers: columns, units and texts just as ingest meets them.

| name | container | id | time | basis |
|---|---|---|---|---|
| sovrn | TSV, gzip | mobile_ad_id | epoch ms | consent |
| veraset | Parquet | ad_id | epoch s | contract |
| adtech | CSV, zstd | advertiser_id | ISO 8601 with offset | consent |
| foursquare | NDJSON, gzip | payload.device.ifa | epoch ms | contract |
| quadrant | CSV without header, gzip | _c0 | epoch ms | contract |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from passersby.synth import texts
from passersby.synth.fixes import Fixes, taken
from passersby.synth.phones import Phones, pools

Unit = Literal["ms", "s", "iso"]


@dataclass(frozen=True)
class Batch:
    """Fixes of a batch of devices on one local day, as one supplier gets them, in order of time.

    `midnight` is the day's first instant (epoch s), `day` its date, `offset` its `+02:00`.
    """

    fixes: Fixes
    phones: Phones
    midnight: int
    day: str
    offset: str
    country: str

    @property
    def t(self) -> npt.NDArray[np.int64]:
        """Instant of each row, epoch s."""
        return self.midnight + self.fixes.second.astype(np.int64)

    @property
    def ms(self) -> npt.NDArray[np.int64]:
        """Instant of each row in epoch ms; the thousandths are random."""
        return self.t * 1000 + self.fixes.salt % np.uint32(1000)

    def at(self, rows: npt.NDArray[np.int64]) -> Batch:
        """Return the batch of some of its rows, in the order given."""
        return replace(self, fixes=taken(self.fixes, rows))

    def each(self, values: pl.Series) -> pl.Series:
        """Return one value a row from one value a device."""
        return values.gather(self.fixes.device)

    def some(self, pool: list[str]) -> pl.Series:
        """Return one value of `pool` a row, at random."""
        return pl.Series(pool).gather(self.fixes.salt // np.uint32(1000) % np.uint32(len(pool)))

    def where(self, keep: npt.NDArray[np.bool_], values: npt.NDArray[np.floating]) -> pl.Series:
        """Return `values`, empty where `keep` is false."""
        return pl.Series(np.where(keep, values, np.nan)).fill_nan(None)


@dataclass(frozen=True)
class Format:
    """How one supplier writes its files.

    `frame` builds the columns of a batch; `repeated` are those of few values, which Parquet keeps once.
    """

    name: str
    basis: Literal["consent", "contract"]
    suffix: str
    container: Literal["csv", "ndjson", "parquet"]
    id: str
    time: str
    lat: str
    lon: str
    unit: Unit
    share: float
    frame: Callable[[Batch], pl.DataFrame]
    separator: str = ","
    header: bool = True
    repeated: tuple[str, ...] = ()


def _sovrn(batch: Batch) -> pl.DataFrame:
    phones, pool = batch.phones, pools()
    ios = pl.Series(phones.ios)
    version = phones.pick(pool["ios"], 16).zip_with(ios, phones.pick(pool["android_os"], 16))
    agent = pl.Series(["Dalvik/2.1.0 (Linux; Android)", "CFNetwork/3826 Darwin/24"]).gather(
        phones.ios.astype(int)
    )
    speed, salt = batch.fixes.speed.astype(np.float64), batch.fixes.salt
    high = salt % np.uint32(4) == 0
    columns = {
        "mobile_ad_id": batch.each(phones.sent_ids()),
        "id_type": batch.each(pl.Series(["AAID", "IDFA"]).gather(phones.ios.astype(int))),
        "timestamp": batch.ms,
        "latitude": batch.fixes.lat,
        "longitude": batch.fixes.lon,
        "ip_address": batch.each(phones.pick(pool["ip"], 0)),
        "horizontal_accuracy": batch.fixes.accuracy,
        "country_code": batch.each(pl.Series([batch.country]).new_from_index(0, len(ios))),
        "location_context": batch.some(["foreground", "background", "background"]),
        "location_method": batch.some(["fused", "gps"]),
        "altitude": batch.where(high, (salt >> np.uint32(20)).astype(np.float64)),
        "vertical_accuracy": batch.where(high, (salt >> np.uint32(27)).astype(np.float64) + 3),
        "speed": batch.where(speed > 0, speed.round(1)),
        "course_bearing": batch.where(speed > 0, (salt % np.uint32(360)).astype(np.float64)),
        "device_model": batch.each(_models(phones, "iphone")),
        "os_version": batch.each(version),
        "device_language": batch.each(phones.pick(pool["language"], 20)),
        "user_agent": batch.each(agent),
    }
    return pl.DataFrame(columns)


def _models(phones: Phones, iphones: str) -> pl.Series:
    pool = pools()
    return phones.pick(pool[iphones], 12).zip_with(pl.Series(phones.ios), phones.pick(pool["android"], 12))


def _veraset(batch: Batch) -> pl.DataFrame:
    phones = batch.phones
    columns = {
        "utc_timestamp": batch.t,
        "ad_id": batch.each(phones.sent_ids().str.to_lowercase()),
        "latitude": batch.fixes.lat,
        "longitude": batch.fixes.lon,
        "horizontal_accuracy": batch.fixes.accuracy,
        "geo_hash": texts.geohashes(batch.fixes.lat, batch.fixes.lon),
        "ip_address": batch.each(phones.pick(pools()["ip"], 0)),
        "iso_country_code": batch.some([batch.country]),
    }
    return pl.DataFrame(columns)


def _adtech(batch: Batch) -> pl.DataFrame:
    phones, pool = batch.phones, pools()
    columns = {
        "datetime": texts.stamps(batch.fixes.second, batch.day, batch.offset),
        "latitude": batch.fixes.lat,
        "longitude": batch.fixes.lon,
        "advertiser_id": batch.each(phones.sent_ids()),
        "horizontal_accuracy": batch.where(batch.fixes.salt % np.uint32(50) != 0, batch.fixes.accuracy),
        "carrier": batch.each(phones.pick(pool["carrier"], 24)),
        "model": batch.each(_models(phones, "iphone_quoted")),
        "wifi_ssid": batch.each(phones.pick(pool["ssid"], 32)),
        "wifi_bssid": batch.each(phones.pick(pool["bssid"], 32)),
    }
    return pl.DataFrame(columns)


def _foursquare(batch: Batch) -> pl.DataFrame:
    columns = {
        "timestamp": batch.ms,
        "ifa": batch.each(batch.phones.ids),
        "lmt": batch.each(pl.Series(batch.phones.opted_out.astype(np.int8))),
        "lat": batch.fixes.lat,
        "lon": batch.fixes.lon,
        "app": batch.some([f"app-{n:03}" for n in range(64)]),
    }
    return pl.DataFrame(columns)


def _quadrant(batch: Batch) -> pl.DataFrame:
    phones = batch.phones
    columns = {
        "_c0": batch.each(phones.sent_ids().str.to_uppercase()),
        "_c1": batch.each(pl.Series(["gaid", "idfa"]).gather(phones.ios.astype(int))),
        "_c2": batch.fixes.lat,
        "_c3": batch.fixes.lon,
        "_c4": batch.fixes.accuracy,
        "_c5": batch.ms,
    }
    return pl.DataFrame(columns)


_ALL = (
    Format(
        name="sovrn",
        basis="consent",
        suffix="tsv.gz",
        container="csv",
        id="mobile_ad_id",
        time="timestamp",
        lat="latitude",
        lon="longitude",
        unit="ms",
        share=0.2,
        frame=_sovrn,
        separator="\t",
    ),
    Format(
        name="veraset",
        basis="contract",
        suffix="parquet",
        container="parquet",
        id="ad_id",
        time="utc_timestamp",
        lat="latitude",
        lon="longitude",
        unit="s",
        share=0.5,
        frame=_veraset,
        repeated=("ad_id", "ip_address", "iso_country_code", "horizontal_accuracy"),
    ),
    Format(
        name="adtech",
        basis="consent",
        suffix="csv.zst",
        container="csv",
        id="advertiser_id",
        time="datetime",
        lat="latitude",
        lon="longitude",
        unit="iso",
        share=0.3,
        frame=_adtech,
    ),
    Format(
        name="foursquare",
        basis="contract",
        suffix="ndjson.gz",
        container="ndjson",
        id="ifa",
        time="timestamp",
        lat="lat",
        lon="lon",
        unit="ms",
        share=0.2,
        frame=_foursquare,
    ),
    Format(
        name="quadrant",
        basis="contract",
        suffix="csv.gz",
        container="csv",
        id="_c0",
        time="_c5",
        lat="_c2",
        lon="_c3",
        unit="ms",
        share=0.2,
        frame=_quadrant,
        header=False,
    ),
)

FORMATS = {form.name: form for form in _ALL}
"""The formats by name."""


def nested(flat: pl.DataFrame) -> pl.DataFrame:
    """Return Foursquare's columns as its NDJSON nests them (OpenRTB 2.5, device and geo objects)."""
    geo = pl.struct("lat", "lon").alias("geo")
    device = pl.struct(pl.col("ifa"), pl.col("lmt"), geo).alias("device")
    app = pl.struct(id="app").alias("app")
    return flat.select("timestamp", pl.struct(device, app).alias("payload"))
