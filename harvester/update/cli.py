"""`harvester update`: changes this machine to another version, judges it, keeps it or not."""

import argparse
import hashlib
import json
import os
import time
from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError, UnavailableError
from bus.install import update_record
from bus.install.update_record import KEPT, UpdateRecord
from bus.install.version import VERSION
from harvester.install import distributions
from harvester.install.cli import require_root
from harvester.install.system import System
from harvester.update import build, extras, prepare, schemas, service
from harvester.update.build import Wanted
from harvester.update.judgement import Limits
from harvester.update.runner import Runner

UNIT = "harvester-update.service"
_BACKUP_UNIT = "harvester-backup.service"
_POLL_S = 1.0
# Longer than any judgement.
_LONGEST_S = 3600.0
_PREFIX = "harvester_edge-"
_DIGEST_CHARS = 12


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Change this machine to another version: into an environment of its own, judged for a "
        "minute by what is stored and what fails, kept or rolled back by itself."
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("wheel", nargs="?", type=Path, metavar="WHEEL", help="the file to install")
    source.add_argument(
        "--index",
        nargs="?",
        const="",
        metavar="URL",
        help="take the newest version from a package index; without URL, from pip's own",
    )
    source.add_argument("--version", metavar="X", help="take this version from pip's own index")
    # Of the unit, and of the version that asks another one.
    source.add_argument("--service", action="store_true", help=argparse.SUPPRESS)
    source.add_argument("--schemas", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--judge-seconds", type=float, default=Limits().judged_s, help=argparse.SUPPRESS
    )
    parser.add_argument("--dry-run", action="store_true", help="print every step; change nothing")
    parser.set_defaults(run=_update)


def _update(options: argparse.Namespace) -> None:
    if options.schemas:
        print(json.dumps(schemas.versions()))
    elif options.service:
        service.run(Limits(judged_s=options.judge_seconds))
    elif options.wheel is None and options.index is None and options.version is None:
        raise MisconfiguredError("expected a WHEEL, --index or --version X")
    else:
        _change(options)


def _change(options: argparse.Namespace) -> None:
    system, runner = open_idle(dry_run=options.dry_run)
    wanted = _wanted(options)
    if options.dry_run:
        print("\n".join(_steps(runner, wanted)))
        return
    print(f"installs {wanted.requirement} beside {runner.environments.in_use}", flush=True)
    build.build(system, wanted)
    begin(system, runner, wanted.identity)


def begin(system: System, runner: Runner, name: str) -> None:
    """Check an environment, let the unit change to it, and wait for the outcome.

    Raises UnavailableError where it was rolled back.
    """
    if name == runner.environments.in_use:
        print(f"{name} is in use already")
        return
    record = prepare.checked(system, runner, name)
    if record.databases and "harvester-hub.service" in record.before:
        paths = ", ".join(each.path for each in record.databases)
        print(f"backs up the hub, as {record.target} changes {paths}", flush=True)
        system.run(("systemctl", "start", _BACKUP_UNIT))
    previous = runner.load().previous
    runner.save(msgspec.structs.replace(record, previous=previous))
    system.run(("systemctl", "--no-block", "restart", UNIT))
    print(f"changes  {record.version} to {record.target}; this goes on without you", flush=True)
    ended = _follow(runner)
    if ended.phase != KEPT:
        raise UnavailableError(f"{ended.target} was rolled back: {ended.reason}")
    print(f"kept     {ended.target}")


def open_idle(*, dry_run: bool) -> tuple[System, Runner]:
    """Return this machine and its runner.

    Raises MisconfiguredError where it may not be changed, or an update is under way.
    """
    require_root(dry_run=dry_run)
    os.umask(0o022)
    system = System()
    runner = Runner(system)
    _check_idle(runner)
    return system, runner


def _check_idle(runner: Runner) -> None:
    record = runner.load()
    if not record.is_ended:
        raise MisconfiguredError(
            f"found an update to {record.target or 'another version'} under way "
            f"({record.phase}); its log: journalctl -fu {UNIT}"
        )


def _follow(runner: Runner) -> UpdateRecord:
    end_s, phase = time.monotonic() + _LONGEST_S, ""
    while time.monotonic() < end_s:
        record = update_record.load(runner.file)
        if record.phase != phase:
            phase = record.phase
            print(f"         {phase}", flush=True)
        if record.is_ended:
            return record
        time.sleep(_POLL_S)
    raise UnavailableError(f"no end after {_LONGEST_S:.0f} s; its log: journalctl -eu {UNIT}")


def _wanted(options: argparse.Namespace) -> Wanted:
    found = distributions.of_program()
    (program,) = [each for each in found if distributions.is_program(each)]
    names = ",".join(extras.installed(program))
    suffix = f"[{names}]" if names else ""
    if options.wheel is not None:
        return _of_wheel(options.wheel, suffix)
    index = ("--index-url", options.index) if options.index else ()
    exact = f"=={options.version}" if options.version else ""
    stamp = options.version or time.strftime("%Y%m%d%H%M%S", time.gmtime())
    return Wanted(
        requirement=f"{distributions.PROGRAM}{suffix}{exact}",
        identity=f"index-{stamp}",
        index=index,
    )


def _of_wheel(wheel: Path, suffix: str) -> Wanted:
    if not wheel.is_file() or not wheel.name.startswith(_PREFIX):
        raise MisconfiguredError(f"{wheel}: found no file {_PREFIX}....whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()[:_DIGEST_CHARS]
    version = wheel.name.split("-")[1]
    path = wheel.absolute()
    # Libraries that the old version lacks come from beside the wheel, or from pip's index.
    return Wanted(
        requirement=f"{path}{suffix}",
        identity=f"{version}-{digest}",
        links=(path.parent,),
        index=(),
    )


def _steps(runner: Runner, wanted: Wanted) -> list[str]:
    services = ", ".join(runner.services.names)
    return [
        f"would make   {runner.environments.folder(wanted.identity)}, with the libraries in use",
        f"would run    pip install {wanted.requirement}",
        "would check  the configuration with the other version",
        "would save   databases whose tables it changes",
        f"would switch from {runner.environments.in_use} ({VERSION}) and start {services} again",
        f"would judge  for {Limits().judged_s:.0f} s, then keep it or switch back",
        "would remove environments but these two",
    ]
