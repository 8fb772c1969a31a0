"""What a node needs beside its hardware: components, a trusted cache, its broker, pings."""

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from broker.client import BusClient
from broker.errors import MisconfiguredError
from broker.settings import Config
from broker.storage import cache_dir
from harvester.doctor_finding import Finding, missing, ok
from harvester.doctor_machine import Machine, is_there, user_name
from harvester.doctor_needs import Role
from pizero_native.ping import needs_privilege

# The page's own plugin, which no configuration names.
_PAGE = "dashboard"
# A broker on the LAN answers within milliseconds.
TIMEOUT_S = 3.0


def service_findings(config: Config, role: Role, machine: Machine) -> Iterator[Finding]:
    if role == "pizero":
        if config.pings.hosts:
            yield pings(needs_privilege)
    else:
        names = [*config.plugins.enabled, *([_PAGE] if role == "hub" else [])]
        directory = Path(config.plugins.directory)
        yield from (plugin(machine, directory, name) for name in names)
        if names:
            yield cache(machine, cache_dir(config, machine.environment))
    yield broker(config, TIMEOUT_S)


def plugin(machine: Machine, directory: Path, name: str) -> Finding:
    """Check that the plugin's component can be read."""
    what, wasm = f"plugin {name}", directory / name / f"{name}.wasm"
    program = f"{machine.sudo}{machine.programs / 'harvester'}"
    mend = f"{program} --project {directory.parent} plugins build {name}"
    try:
        with wasm.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as e:
        return missing(what, f"{wasm}: {e.strerror}", mend)
    return ok(what, f"{wasm}, {size / 1e6:.1f} MB")


def cache(machine: Machine, directory: Path) -> Finding:
    """Check that nobody else can write where compiled components, which are native code, are."""
    what = "cache"
    # Where it is not there yet, it is made below whatever is.
    nearest = next(path for path in (directory, *directory.parents) if is_there(path))
    if nearest != directory:
        if machine.may_use(nearest):
            return ok(what, f"{directory}, made at the first start")
        mend = f"sudo install -d -m 700 -o {machine.user} {directory}"
        return missing(what, f"{directory} cannot be made in {nearest}", mend)
    status = directory.stat()
    mode = stat.S_IMODE(status.st_mode)
    found = f"{directory} belongs to {user_name(status.st_uid)}, mode {mode:04o}"
    if status.st_uid != machine.uid:
        return missing(what, found, f"sudo chown -R {machine.user} {directory}")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return missing(what, f"{found}: others may write", f"chmod -R go-w {directory}")
    return ok(what, found)


def broker(config: Config, timeout_s: float) -> Finding:
    """Check that the broker takes a connection, first of TCP and then of MQTT."""
    host, port = config.broker_address
    what = f"broker {host}:{port}"
    start = "sudo systemctl restart harvester-hub"
    mend = start if config.embeds_broker else f"on {host}: {start}"
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError as e:
        return missing(what, e.strerror or str(e), mend)
    refusal = _refusal((host, port), timeout_s)
    if refusal:
        return missing(what, refusal, mend)
    return ok(what, "takes connections")


def _refusal(address: tuple[str, int], timeout_s: float) -> str:
    """Return why the broker takes no MQTT connection, or nothing where it does."""
    answered = threading.Event()
    reasons: list[str] = []

    # Both run on the bus client's thread.
    def lost(reason: str) -> None:
        reasons.append(reason)
        answered.set()

    client = BusClient(
        address,
        client_id=f"doctor-{os.urandom(4).hex()}",
        on_connect=answered.set,
        on_disconnect=lost,
    )
    client.start()
    try:
        if not answered.wait(timeout_s):
            return f"something listens there, but gives no answer to MQTT within {timeout_s:g} s"
        return f"no MQTT connection: {reasons[0]}" if reasons else ""
    finally:
        client.stop()


def pings(ask: Callable[[], bool]) -> Finding:
    try:
        raw = ask()
    except MisconfiguredError:
        mend = "sudo sysctl net.ipv4.ping_group_range='0 2147483647'"
        return missing("pings", "this user may open no ICMP socket", mend)
    return ok("pings", "through raw sockets" if raw else "through datagram sockets")
