"""Program of `harvester-update.service`: goes on with an update, or looks for one at the hub.

It runs as root, from an environment that was kept. The agent can ask it to look, and no more.
"""

import contextlib
import logging
import os
import sys
from importlib import metadata
from pathlib import Path

import msgspec

from bus import journal_log
from bus.config import broker_url
from bus.errors import HarvesterError
from bus.install.update_record import (
    DIRECTORY,
    FAILED,
    FETCHING,
    INSTALLING,
    UP_TO_DATE,
    UpdateRecord,
)
from bus.install.update_request import REQUEST_PATTERN
from bus.install.version import VERSION
from bus.install.wheel_list import WheelList
from bus.listen import is_listening
from harvester.install import distributions
from harvester.install.distributions import PROGRAM
from harvester.install.system import System
from harvester.update import build, bundle_key, extras, prepare, trust
from harvester.update.build import Wanted
from harvester.update.environments import Environments
from harvester.update.hub_wheels import HubWheels
from harvester.update.judgement import Limits
from harvester.update.runner import Runner

logger = logging.getLogger(__name__)

_WHEELS = f"{DIRECTORY}/wheels"
_DIGEST_CHARS = 12
_CONNECT_S = 3.0


def run(limits: Limits) -> None:
    """Go on with what was interrupted; else change to the hub's version where that was asked."""
    journal_log.set_up(logging.INFO, sys.stderr, os.environ)
    os.umask(0o022)
    system = System()
    runner = Runner(system, limits=limits, has_hub=lambda: has_hub(system))
    record = runner.resume()
    is_asked = take_requests(system)
    if record.phase == FETCHING or (record.is_ended and is_asked):
        record = look(system, runner, record)
    runner.run(record)


def take_requests(system: System) -> bool:
    """Remove the files by which an agent asks for an update; return whether there was one."""
    is_asked = False
    for path in system.root.glob(REQUEST_PATTERN):
        with contextlib.suppress(OSError):
            # Whatever it is: only that it is there counts.
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            is_asked = True
    return is_asked


def look(system: System, runner: Runner, last: UpdateRecord) -> UpdateRecord:
    """Return the record of an update to the hub's version, ended where there is nothing to do."""
    begun = UpdateRecord(
        phase=FETCHING,
        version=VERSION,
        previous=last.previous,
        starts=1 if last.is_ended else last.starts,
    )
    runner.save(begun)
    try:
        hub = HubWheels(trust.load(system), trust.login(system))
        names = extras.installed(metadata.distribution(PROGRAM))
        found = hub.list(names)
        begun = msgspec.structs.replace(begun, target=found.version)
        has_new_key = bundle_key.take(system, found.bundle_key)
        if is_in_use(runner.environments, found):
            if has_new_key:
                # The agent reads its login at its start. An update restarts it anyway.
                runner.services.restart(runner.services.names)
            return runner.save(msgspec.structs.replace(begun, phase=UP_TO_DATE))
        identity = _identity(found)
        own = hub.fetch(found, system.path(_WHEELS))
        runner.save(msgspec.structs.replace(begun, phase=INSTALLING))
        build.build(system, _wanted(own, identity, names))
        ready = prepare.checked(system, runner, identity)
    except HarvesterError as e:
        logger.error("no update: %s", e)  # noqa: TRY400 - the text has the cause
        return runner.save(msgspec.structs.replace(begun, phase=FAILED, reason=str(e)[:2000]))
    return runner.save(msgspec.structs.replace(ready, previous=last.previous, starts=begun.starts))


def is_in_use(environments: Environments, found: WheelList) -> bool:
    """Whether the environment in use was made from the hub's own wheel, by an update or a join."""
    name = environments.in_use
    if name == _identity(found):
        return True
    return distributions.wheel_sha256(environments.folder(name)) == found.wheels[0].sha256


def has_hub(system: System) -> bool:
    """Whether the broker of this node's login can be reached; on the hub itself there is none."""
    try:
        url = trust.login(system).url
        addresses = broker_url.parse(url, "url").addresses if url else ()
    except HarvesterError:
        return True
    return not addresses or any(is_listening(address, _CONNECT_S) for address in addresses)


def _identity(found: WheelList) -> str:
    """Return the name of the environment that an update to the hub's own wheel makes."""
    return f"{found.version}-{found.wheels[0].sha256[:_DIGEST_CHARS]}"


def _wanted(own: Path, identity: str, names: list[str]) -> Wanted:
    suffix = f"[{','.join(names)}]" if names else ""
    return Wanted(
        requirement=f"{own}{suffix}", identity=identity, links=(own.parent,), takes_all=True
    )
