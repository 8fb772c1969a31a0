"""Cost model of a hub, a site and a fleet: what a reading, a node and a site cost. Pure.

Times are CPU time, which depends on the processor and on what else a machine does. Each run has the
time that a fixed piece of work took beside it (see `probe`), and all are put in relation to one.
"""

import math
from collections.abc import Sequence

import msgspec

from broker.local_link import BATCH_S

_DAY_S = 86_400
_MICRO = 1e-6
# Of the virtual nodes: dht22, bme680 and pi4-monitor have 14 numbers.
SENSORS_PER_NODE = 3
FIELDS_PER_SENSOR = 14 / 3
_MEAN_S = 300
# The hub's history commits so often by default, and then answers each node that had readings.
_COMMIT_S = 2.0


class Run(msgspec.Struct, frozen=True):
    """Measured costs of a hub under a steady load. `cpu` is in cores."""

    nodes: int
    readings_per_s: float
    # Readings that a node sends at once are one arrival.
    arrivals_per_s: float
    heartbeats_per_s: float
    cpu: float
    rss_mb: float
    up_bytes_per_s: float
    down_bytes_per_s: float
    # A piece of the probe's work meanwhile.
    probe_us: float


class Hub(msgspec.Struct, frozen=True):
    """Coefficients of a hub, without a fleet and without open pages."""

    # CPU time in cores without a load, and in microseconds.
    base_cpu: float
    batch_us: float
    arrival_us: float
    reading_us: float
    heartbeat_us: float
    answer_us: float
    # Memory.
    base_mb: float
    node_kb: float
    # Bytes on the wire, with TCP's payload alone.
    heartbeat_bytes: float
    reading_up_bytes: float
    reading_down_bytes: float
    answer_down_bytes: float


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
    # The piece of the probe's work on which the CPU times are based.
    probe_us: float
    hub: Hub
    database: Database
    runs: list[Run] = []


class Load(msgspec.Struct, frozen=True):
    """A load of one site, as often as there are `sites`.

    `together` is the number of readings that a node sends at once. Runs tell of 1 to 3.
    """

    nodes: int
    readings_per_s: float
    heartbeats_per_s: float
    sites: int = 1
    together: float = 1.0


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


def load_of(run: Run) -> Load:
    """Return the load under which a run was measured."""
    together = run.readings_per_s / run.arrivals_per_s if run.arrivals_per_s else 1.0
    return Load(run.nodes, run.readings_per_s, run.heartbeats_per_s, together=together)


def split(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Return the runs of the first two sizes, and the others."""
    sizes = sorted({run.nodes for run in runs})[:2]
    return [r for r in runs if r.nodes in sizes], [r for r in runs if r.nodes not in sizes]


def based_on(probe_us: float, run: Run) -> Run:
    """Return a run as it would be where a piece of the probe's work takes `probe_us`."""
    cpu = run.cpu * probe_us / run.probe_us
    return msgspec.structs.replace(run, cpu=cpu, probe_us=probe_us)


def fit_hub(measured: Sequence[Run], probe_us: float) -> Hub:
    """Return the coefficients of a hub from runs of two sizes or more, and of all kinds of nodes.

    CPU times are based on `probe_us`.
    """
    runs = [based_on(probe_us, run) for run in measured]
    loads = [load_of(run) for run in runs]
    base, batch, arrival, reading, heartbeat, answer = non_negative_least_squares(
        [(1.0, *_rates(load)) for load in loads], [run.cpu for run in runs]
    )
    base_mb, node_mb = _line([run.nodes for run in runs], [run.rss_mb for run in runs])
    heartbeat_bytes, reading_up = least_squares(
        [(run.heartbeats_per_s, run.readings_per_s) for run in runs],
        [run.up_bytes_per_s for run in runs],
    )
    sending = [run for run in runs if run.readings_per_s]
    reading_down, answer_down = least_squares(
        [(run.readings_per_s, answers_per_s(load_of(run))) for run in sending],
        [run.down_bytes_per_s for run in sending],
    )
    return Hub(
        base_cpu=base,
        batch_us=batch / _MICRO,
        arrival_us=arrival / _MICRO,
        reading_us=reading / _MICRO,
        heartbeat_us=heartbeat / _MICRO,
        answer_us=answer / _MICRO,
        base_mb=base_mb,
        node_kb=node_mb * 1024,
        heartbeat_bytes=heartbeat_bytes,
        reading_up_bytes=reading_up,
        reading_down_bytes=reading_down,
        answer_down_bytes=answer_down,
    )


def _rates(load: Load) -> tuple[float, float, float, float, float]:
    """Return batches, arrivals, readings, heartbeats and answers a second.

    The heartbeat of a node that sends all its readings at once comes with them.
    """
    readings, beats = load.readings_per_s, load.heartbeats_per_s
    alone = (SENSORS_PER_NODE - load.together) / (SENSORS_PER_NODE - 1) if readings else 1.0
    arrivals = readings / load.together + alone * beats
    # A batch ends so long after its first arrival.
    batches = arrivals / (1 + BATCH_S * arrivals)
    return batches, arrivals, readings, beats, answers_per_s(load)


def answers_per_s(load: Load) -> float:
    """Return `stored` messages a second: one for each commit and node that has readings in it."""
    if not load.nodes or not load.readings_per_s:
        return 0.0
    sources = SENSORS_PER_NODE / min(load.together, SENSORS_PER_NODE)
    interval_s = sources * load.nodes * load.together / load.readings_per_s
    without = math.pow(1 - min(1.0, _COMMIT_S / interval_s), sources)
    return load.nodes * (1 - without) / _COMMIT_S


def predict_hub(hub: Hub, load: Load) -> HubCost:
    rate, beats = load.readings_per_s, load.heartbeats_per_s
    costs_us = (hub.batch_us, hub.arrival_us, hub.reading_us, hub.heartbeat_us, hub.answer_us)
    used_us = sum(us * count for us, count in zip(costs_us, _rates(load), strict=True))
    answered = hub.answer_down_bytes * answers_per_s(load)
    return HubCost(
        cpu=hub.base_cpu + _MICRO * used_us,
        mb=hub.base_mb + hub.node_kb * load.nodes / 1024,
        up_bytes_per_s=hub.reading_up_bytes * rate + hub.heartbeat_bytes * beats,
        down_bytes_per_s=hub.reading_down_bytes * rate + answered,
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


def slower(said: Prediction, factor: float) -> Prediction:
    """Return a prediction for a machine that takes `factor` of the time for the same work."""
    return msgspec.structs.replace(
        said,
        hub=msgspec.structs.replace(said.hub, cpu=said.hub.cpu * factor),
        forward_cpu=said.forward_cpu * factor,
        database_cpu=said.database_cpu * factor,
    )


def _line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Return begin and slope of the line with the least squares."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    return mean_y - slope * mean_x, slope


def least_squares(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """Return the factors of the columns with the least sum of squares of relative errors."""
    scaled = [[x / y for x in row] for row, y in zip(rows, values, strict=True)]
    size = len(rows[0])
    # The normal equations, with their right side as the last column.
    table = [
        [sum(row[i] * row[j] for row in scaled) for j in range(size)] + [sum(r[i] for r in scaled)]
        for i in range(size)
    ]
    for i in range(size):
        pivot = table[i][i]
        table[i] = [x / pivot for x in table[i]]
        for j in range(size):
            if j != i:
                factor = table[j][i]
                table[j] = [x - factor * y for x, y in zip(table[j], table[i], strict=True)]
    return [row[-1] for row in table]


def non_negative_least_squares(
    rows: Sequence[Sequence[float]], values: Sequence[float]
) -> list[float]:
    """Return the least squares with the columns that have no negative factor, and 0 for others."""
    kept = list(range(len(rows[0])))
    while True:
        found = least_squares([[row[i] for i in kept] for row in rows], values)
        worst = min(range(len(kept)), key=found.__getitem__)
        if found[worst] >= 0:
            factors = dict(zip(kept, found, strict=True))
            return [factors.get(i, 0.0) for i in range(len(rows[0]))]
        del kept[worst]
