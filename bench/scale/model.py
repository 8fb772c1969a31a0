"""Cost model of a hub, a site and a fleet: what a reading, a node and a site cost. Pure.

Times are CPU time, which depends little on what else a machine does, and much on its processor.
"""

from collections.abc import Sequence

import msgspec

_DAY_S = 86_400
_MICRO = 1e-6
# Of the virtual nodes: dht22, bme680 and pi4-monitor have 14 numbers.
SENSORS_PER_NODE = 3
FIELDS_PER_SENSOR = 14 / 3
_MEAN_S = 300


class Run(msgspec.Struct, frozen=True):
    """Measured costs of a hub under a steady load. `cpu` is in cores."""

    nodes: int
    readings_per_s: float
    heartbeats_per_s: float
    cpu: float
    rss_mb: float
    up_bytes_per_s: float
    down_bytes_per_s: float


class Hub(msgspec.Struct, frozen=True):
    """Coefficients of a hub, without a fleet and without open pages."""

    # CPU time in cores without a load, and in microseconds.
    base_cpu: float
    heartbeat_us: float
    reading_us: float
    # Memory.
    base_mb: float
    node_kb: float
    # Bytes on the wire, with TCP's payload alone.
    heartbeat_bytes: float
    reading_up_bytes: float
    reading_down_bytes: float


class Database(msgspec.Struct, frozen=True):
    """Coefficients of the history, the forwarder and PostgreSQL, a reading unless named else."""

    history_bytes: float
    forward_us: float
    forward_bytes: float
    store_us: float
    mean_us: float
    # Of the write-ahead log, without means.
    wal_bytes: float
    stored_bytes: float
    # A mean of 5 minutes of one field, with its twelfth of a mean of an hour.
    mean_bytes: float


class Coefficients(msgspec.Struct, frozen=True):
    """All of the model, and the runs that they are from."""

    machine: str
    hub: Hub
    database: Database
    runs: list[Run] = []


class Load(msgspec.Struct, frozen=True):
    """A load of one site, as often as there are `sites`."""

    nodes: int
    readings_per_s: float
    heartbeats_per_s: float
    sites: int = 1


class HubCost(msgspec.Struct, frozen=True):
    """Cores, memory and traffic with the nodes of one hub."""

    cpu: float
    mb: float
    up_bytes_per_s: float
    down_bytes_per_s: float


class Prediction(msgspec.Struct, frozen=True):
    """Costs of one hub, and of the fleet's database for all sites."""

    hub: HubCost
    forward_cpu: float
    history_bytes_per_day: float
    forward_bytes_per_s: float
    database_readings_per_s: float
    database_cpu: float
    wal_bytes_per_s: float
    database_bytes_per_day: float
    means_bytes_per_day: float


def fit_hub(runs: Sequence[Run], quiet: Run) -> Hub:
    """Return the coefficients of a hub from runs of two sizes or more, and one of heartbeats only.

    Two unknowns of each cost: what there is without a load, and what a reading or node adds.
    """
    heartbeat_bytes = quiet.up_bytes_per_s / quiet.heartbeats_per_s
    rates = [run.readings_per_s for run in runs]
    # Of the quiet run, the part without a load is that of the others.
    heartbeat_us = 0.0
    for _ in range(50):
        left = [run.cpu - heartbeat_us * _MICRO * run.heartbeats_per_s for run in runs]
        base, slope = _line(rates, left)
        heartbeat_us = max(0.0, quiet.cpu - max(base, 0.0)) / quiet.heartbeats_per_s / _MICRO
    if base < 0:
        base, slope = 0.0, sum(left) / sum(rates)
    base_mb, node_mb = _line([run.nodes for run in runs], [run.rss_mb for run in runs])
    up = sum(run.up_bytes_per_s - heartbeat_bytes * run.heartbeats_per_s for run in runs)
    down = sum(run.down_bytes_per_s for run in runs)
    return Hub(
        base_cpu=base,
        heartbeat_us=heartbeat_us,
        reading_us=slope / _MICRO,
        base_mb=base_mb,
        node_kb=node_mb * 1024,
        heartbeat_bytes=heartbeat_bytes,
        reading_up_bytes=up / sum(rates),
        reading_down_bytes=down / sum(rates),
    )


def predict_hub(hub: Hub, load: Load) -> HubCost:
    rate, beats = load.readings_per_s, load.heartbeats_per_s
    return HubCost(
        cpu=hub.base_cpu + _MICRO * (hub.reading_us * rate + hub.heartbeat_us * beats),
        mb=hub.base_mb + hub.node_kb * load.nodes / 1024,
        up_bytes_per_s=hub.reading_up_bytes * rate + hub.heartbeat_bytes * beats,
        down_bytes_per_s=hub.reading_down_bytes * rate,
    )


def predict(known: Coefficients, load: Load) -> Prediction:
    database = known.database
    rate, all_rate = load.readings_per_s, load.readings_per_s * load.sites
    # One mean a field and 5 minutes, as long as a sensor has a reading in them.
    means_per_s = min(
        load.nodes * load.sites * SENSORS_PER_NODE * FIELDS_PER_SENSOR / _MEAN_S,
        all_rate * FIELDS_PER_SENSOR,
    )
    return Prediction(
        hub=predict_hub(known.hub, load),
        forward_cpu=_MICRO * database.forward_us * rate,
        history_bytes_per_day=database.history_bytes * rate * _DAY_S,
        forward_bytes_per_s=database.forward_bytes * rate,
        database_readings_per_s=all_rate,
        database_cpu=_MICRO * (database.store_us * all_rate + database.mean_us * means_per_s),
        wal_bytes_per_s=database.wal_bytes * all_rate,
        database_bytes_per_day=database.stored_bytes * all_rate * _DAY_S,
        means_bytes_per_day=database.mean_bytes * means_per_s * _DAY_S,
    )


def _line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Return begin and slope of the line with the least squares."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    return mean_y - slope * mean_x, slope
