"""`python -m tests.chaos`: a hundred faults to a whole system, and the count."""

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.chaos.faults import BROKER, plan
from tests.chaos.play import logs, play, running_system
from tests.chaos.report import table
from tests.chaos.system import Pace


def main() -> None:
    options = _parser().parse_args()
    # Leave by the contexts, which stop every process and unmount every disk.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = options.seed if options.seed is not None else int(time.time())
    external = options.broker == "mosquitto"
    faults = plan(seed, options.faults, more=(BROKER,) if external else ())
    say(f"seed {seed}, {len(faults)} faults, broker: {options.broker}")
    pace = Pace(interval_s=options.interval)
    with running_system(pace, external_broker=external, disks=True, folder=options.folder) as (
        system,
        watch,
    ):
        run = play(system, watch, faults, say)
        if options.folder:
            keep(options.folder)
        if not run.is_good and options.verbose:
            say(logs(system))
    say(table(run))
    sys.exit(0 if run.is_good else 1)


def keep(folder: Path) -> None:
    """Copy what the small disks hold, as they go with the system."""
    for state in folder.glob("*/state"):
        shutil.copytree(
            state, state.with_name("state-at-end"), ignore=shutil.ignore_patterns("ballast")
        )


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line prints


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="which faults; default: others each time")
    parser.add_argument("--faults", type=int, default=100, help="how many; default: 100")
    parser.add_argument("--broker", choices=("embedded", "mosquitto"), default="embedded")
    parser.add_argument("--interval", type=float, default=0.5, help="between polls, in s")
    parser.add_argument("--folder", type=Path, help="where to leave logs and files; default: none")
    parser.add_argument("--verbose", action="store_true", help="print the logs of a bad run")
    return parser


if __name__ == "__main__":
    main()
