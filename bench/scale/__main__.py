"""Cost model: measures the coefficients, checks them against runs, and predicts any size.

    python -m bench.scale measure --nodes 100 300 700     measures, checks, writes coefficients.json
    python -m bench.scale predict --nodes 700 --readings-per-s 1050
    python -m bench.scale predict --nodes 500 --readings-per-s 750 --sites 200
    python -m bench.scale predict --nodes 700 --readings-per-s 1050 --together 3
    python -m bench.scale predict --nodes 700 --here      CPU times of this machine
    python -m bench.scale run --nodes 700                 a run, beside what the model predicts
    python -m bench.scale run --nodes 700 --apart 1.7 8   each sensor at times of its own
    python -m bench.scale table                           the tables of docs/scale.md

`measure` runs each size with sensors that send together, apart, and rarely, and without sensors. It
fits the first two sizes, compares the others with that, then fits all of them.
"""

import argparse
import math
import platform
import time
from pathlib import Path

import msgspec

from bench.scale import model
from bench.scale.measure import measure_database, measure_hub, measure_runs
from bench.scale.model import Coefficients, Database, Hub, Load, Prediction, Run
from bench.scale.probe import Probing
from bench.scale.table import tables

_FILE = Path(__file__).with_name("coefficients.json")
_MB, _GB = 1e6, 1e9
_CYCLE_S = 2.0
_PROBE_S = 6.0
# The model is good where it is no further from the measured cost.
_MOST_OFF = 0.20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("measure", "run"):
        command = commands.add_parser(name)
        command.add_argument("--nodes", type=int, nargs="+", default=[100, 300, 700])
        command.add_argument("--interval", type=float, default=_CYCLE_S)
        command.add_argument("--seconds", type=float, default=40.0)
        if name == "measure":
            text = "keep the coefficients of the fleet's database"
            command.add_argument("--keep-database", action="store_true", help=text)
        else:
            text = "each sensor sends alone, in an interval between these seconds"
            command.add_argument("--apart", type=float, nargs=2, help=text)
    command = commands.add_parser("predict")
    command.add_argument("--nodes", type=_count, required=True, help="of each site")
    command.add_argument("--readings-per-s", type=_rate, help="of each site; default: 1.5 a node")
    command.add_argument("--heartbeats-per-s", type=_rate, help="default: one in 2 s a node")
    command.add_argument(
        "--together",
        type=_together,
        default=1.0,
        help="readings that a node sends at once; default: 1",
    )
    command.add_argument("--sites", type=_count, default=1)
    command.add_argument("--history-days", type=_rate, default=30.0)
    command.add_argument("--fleet-days", type=_rate, default=400.0)
    text = "the CPU times of this machine as it is now, by the probe of some seconds"
    command.add_argument("--here", action="store_true", help=text)
    commands.add_parser("table")
    options = parser.parse_args()
    choices = {"measure": measure, "predict": predict, "run": run, "table": table}
    choices[options.command](options)


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"found {text}, expected a whole number from 0")
    return number


def _rate(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number from 0")
    return number


def _together(text: str) -> float:
    number = float(text)
    if not 1 <= number <= model.SENSORS_PER_NODE:
        expected = f"a number from 1 to {model.SENSORS_PER_NODE}, as was measured"
        raise argparse.ArgumentTypeError(f"found {text}, expected {expected}")
    return number


def measure(options: argparse.Namespace) -> None:
    """Measure all coefficients, check them, and write them."""
    runs = measure_runs(options)
    database = known_database() if options.keep_database else measure_database()
    probe_us = runs[0].probe_us
    fitted, others = model.split(runs)
    check(model.fit_hub(fitted, probe_us), probe_us, others)
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    found = Coefficients(machine, probe_us, model.fit_hub(runs, probe_us), database, runs)
    _FILE.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    print(found.hub, found.database, sep="\n")


def run(options: argparse.Namespace) -> None:
    """Measure a size and compare it with the model."""
    apart_s = tuple(options.apart) if options.apart else None
    runs = [
        measure_hub(nodes, options.interval, options.seconds, apart_s=apart_s)
        for nodes in options.nodes
    ]
    print(*runs, sep="\n")
    check(known().hub, known().probe_us, runs)


def table(_options: argparse.Namespace) -> None:
    """Print the tables of docs/scale.md."""
    for line in tables(known()):
        print(line)


def known() -> Coefficients:
    return msgspec.json.decode(_FILE.read_bytes(), type=Coefficients)


class _OfDatabase(msgspec.Struct):
    database: Database


def known_database() -> Database:
    """Return the coefficients of the database, also from a file of an older model of the hub."""
    return msgspec.json.decode(_FILE.read_bytes(), type=_OfDatabase).database


def check(hub: Hub, probe_us: float, runs: list[Run]) -> None:
    """Print measured costs beside what the model says of them."""
    for found in runs:
        load = model.load_of(found)
        said = model.predict_hub(hub, load)
        cpu = said.cpu * found.probe_us / probe_us
        print(
            f"{found.nodes} nodes, {found.readings_per_s:.0f} readings a second,"
            f" {load.together:.0f} together:"
        )
        for name, measured, predicted in (
            ("cores", found.cpu, cpu),
            ("MB of memory", found.rss_mb, said.mb),
            ("kB/s to the hub", found.up_bytes_per_s / 1000, said.up_bytes_per_s / 1000),
            ("kB/s from the hub", found.down_bytes_per_s / 1000, said.down_bytes_per_s / 1000),
        ):
            off = predicted / measured - 1 if measured else 0.0
            mark = "" if abs(off) <= _MOST_OFF else "  MORE THAN 20 %"
            print(f"    {name}: {measured:.3g}, predicted {predicted:.3g} ({off:+.0%}){mark}")


def predict(options: argparse.Namespace) -> None:
    rate, beats = options.readings_per_s, options.heartbeats_per_s
    if rate is None:
        rate = options.nodes * model.SENSORS_PER_NODE / _CYCLE_S
    if beats is None:
        beats = options.nodes / _CYCLE_S
    load = Load(options.nodes, rate, beats, options.sites, options.together)
    known_here = known()
    said = model.predict(known_here, load)
    if options.here:
        factor = here_us() / known_here.probe_us
        print(f"on this machine, which takes {factor:.2f} of the time of the one that was measured")
        said = model.slower(said, factor)
    else:
        print(f"on {known_here.machine}, a core of the machine that was measured")
    for line in lines(said, load, options):
        print(line)


def here_us() -> float:
    """Return the time that a piece of the probe's work takes on this machine now."""
    probing = Probing()
    probing.start()
    time.sleep(_PROBE_S)
    return probing.stop()


def lines(said: Prediction, load: Load, options: argparse.Namespace) -> list[str]:
    """Return a prediction as text."""
    history_gb = said.history_bytes_per_day * options.history_days / _GB
    readings_gb = said.database_bytes_per_day * options.fleet_days / _GB
    means_gb = said.means_bytes_per_day * 365 / _GB
    up, down = said.hub.up_bytes_per_s / 1000, said.hub.down_bytes_per_s / 1000
    to_fleet = said.forward_bytes_per_s / 1000
    a_day, fleet_a_day = said.history_bytes_per_day / _GB, said.database_bytes_per_day / _GB
    days, fleet_days = options.history_days, options.fleet_days
    too_many = " (more than a hub has: one core)" if said.hub.cpu + said.forward_cpu > 1 else ""
    return [
        f"each of {load.sites} hubs, {load.nodes} nodes, {load.readings_per_s:.0f} readings/s:",
        f"    CPU {said.hub.cpu:.2f} cores, forwarding {said.forward_cpu:.3f} cores{too_many}",
        f"    memory {said.hub.mb:.0f} MB",
        f"    network: nodes {up:.0f} kB/s up, {down:.0f} kB/s down; fleet {to_fleet:.0f} kB/s up",
        f"    disk {a_day:.2f} GB a day, {history_gb:.1f} GB in {days:g} days of single readings",
        f"database of the fleet, {said.database_readings_per_s:.0f} readings/s:",
        f"    CPU {said.database_cpu:.2f} cores",
        f"    network {said.forward_bytes_per_s * load.sites / _MB:.1f} MB/s",
        f"    write-ahead log {said.wal_bytes_per_s / _MB:.1f} MB/s",
        f"    disk {fleet_a_day:.1f} GB a day, {readings_gb:.0f} GB in {fleet_days:g} days",
        f"    disk of means {means_gb:.0f} GB a year",
    ]


if __name__ == "__main__":
    main()
