"""Checks of a node's services: plugins, component cache, broker, certificate, pings."""

import datetime as dt
import os
import socket
import ssl
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from broker.auth.server_tls import CERTIFICATE_NAME
from bus.client import certificate_dates, credentials
from bus.client.client import BusClient
from bus.client.credentials import Connection
from bus.client.login import doctor_client_id, tls_context
from bus.clock import now_ms
from bus.config import hub_files
from bus.config.directories import cache_dir
from bus.config.plugin_files import plugin_file
from bus.config.settings import Config, PluginsConfig
from bus.contract.plugin_file.bundle import SUFFIX
from bus.errors import MisconfiguredError
from bus.install import assets
from harvester.doctor.backups import backup_findings
from harvester.doctor.finding import Finding, missing, ok
from harvester.doctor.machine import Machine, is_there, user_name
from harvester.doctor.names import name_findings
from harvester.doctor.needs import Role, runs_plugins
from pizero_native.ping import needs_privilege

# The page's plugin, which every hub runs; no configuration names it.
_PAGE = "dashboard"
_MB = 1e6
# A broker on the LAN answers within milliseconds.
TIMEOUT_S = 3.0
# Time for a person to notice.
_RENEW_BEFORE = dt.timedelta(days=30)


def service_findings(config: Config, role: Role, machine: Machine) -> Iterator[Finding]:
    if not runs_plugins(config, role):
        if config.pings.hosts:
            yield pings(needs_privilege)
    else:
        names = [*config.plugins.enabled, *([_PAGE] if role == "hub" else [])]
        yield from (plugin(machine, config.plugins, name) for name in names)
        files = [plugin_file(config.plugins, name) for name in names]
        if any(file.suffix == SUFFIX and file.is_file() for file in files):
            yield bundle_runtime(machine)
        if names:
            yield cache(machine, cache_dir(config, machine.environment))
    if role == "hub" and (config.embeds_broker or config.web.tls):
        yield from hub_certificate(config, machine)
    if role == "hub":
        state_dir = hub_files.of(config, machine.environment).state_dir
        yield from backup_findings(state_dir, now_ms(), machine)
    reached = list(brokers(config, TIMEOUT_S, machine.environment))
    yield from reached
    if any(found.is_well for found in reached):
        yield from name_findings(config, TIMEOUT_S, machine.environment)


def plugin(machine: Machine, plugins: PluginsConfig, name: str) -> Finding:
    """Check that the plugin's file can be read."""
    what, file_path = f"plugin {name}", plugin_file(plugins, name)
    program = f"{machine.sudo}{machine.programs / 'harvester'}"
    mend = f"{program} --project {file_path.parents[2]} plugins pack {name}"
    try:
        with file_path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as e:
        return missing(what, f"{file_path}: {e.strerror}", mend)
    return ok(
        what,
        f"{file_path}, {size / _MB:.1f} MB"
        if size >= _MB / 10
        else f"{file_path}, {size / 1e3:.0f} KB",
    )


def bundle_runtime(machine: Machine) -> Finding:
    """Check that the component is there that runs bundles."""
    what, wasm = "runtime of bundles", assets.bundle_runtime()
    if wasm.is_file():
        return ok(what, f"{wasm}, {wasm.stat().st_size / _MB:.1f} MB")
    program = f"{machine.sudo}{machine.programs / 'harvester'}"
    return missing(what, f"{wasm} is not there", f"{program} plugins runtime")


def cache(machine: Machine, directory: Path) -> Finding:
    """Check that nobody else can write to the cache of compiled components: it is native code."""
    what = "cache"
    # A cache that is missing is made below the nearest folder that exists.
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


def brokers(
    config: Config, timeout_s: float, environment: Mapping[str, str] | None = None
) -> Iterator[Finding]:
    """Check that the broker accepts connections, at each of its addresses."""
    node = config.cluster.node_id
    try:
        connection = credentials.of_node(config, environment)
    except MisconfiguredError as e:
        yield missing("credentials", str(e), f"harvester enroll {node}, on the hub")
        return
    for address in connection.addresses:
        yield _broker(config, msgspec.structs.replace(connection, addresses=(address,)), timeout_s)


def _broker(config: Config, connection: Connection, timeout_s: float) -> Finding:
    """Check a single address: TCP, TLS where it asks for it, and MQTT."""
    node = config.cluster.node_id
    host, port = connection.address
    what = f"broker {host}:{port}"
    start = "sudo systemctl restart harvester-hub"
    mend = start if config.embeds_broker else f"on {host}: {start}"
    try:
        _reach(connection, timeout_s)
    except ssl.SSLError as e:
        reason = certificate_dates.explain(e, connection.address, dt.datetime.now(dt.UTC))
        return missing(what, f"not trusted: {reason}", f"harvester enroll {node}, on the hub")
    except OSError as e:
        return missing(what, e.strerror or str(e), mend)
    refused = threading.Event()
    refusal = _refusal(connection, node, timeout_s, refused)
    if refusal:
        return missing(what, refusal, connection.advice(node) if refused.is_set() else mend)
    return ok(what, f"takes connections{_login_shown(connection)}")


def _login_shown(connection: Connection) -> str:
    login = connection.login
    if login is None:
        return ""
    return f" of {login.username or 'anyone'}{' over TLS' if login.tls else ''}"


def _reach(connection: Connection, timeout_s: float) -> None:
    """Connect and disconnect. Raises OSError, ssl.SSLError where the broker is not trusted."""
    login = connection.login
    with socket.create_connection(connection.address, timeout_s) as plain:
        if login is not None and login.tls:
            context = tls_context(login)
            context.wrap_socket(plain, server_hostname=connection.address[0]).close()


def _refusal(connection: Connection, node: str, timeout_s: float, refused: threading.Event) -> str:
    """Return why the broker accepts no MQTT connection, or nothing where it does."""
    answered = threading.Event()
    reasons: list[str] = []

    # Both run on the bus client's thread.
    def lost(reason: str) -> None:
        reasons.append(reason)
        answered.set()

    def turned_away(reason: str) -> None:
        refused.set()
        lost(reason)

    login = connection.login
    client = BusClient(
        connection.address,
        client_id=doctor_client_id(node),
        login=login,
        on_connect=answered.set,
        on_disconnect=lost,
        on_refused=turned_away,
    )
    client.start()
    try:
        if not answered.wait(timeout_s):
            return f"something listens there, but gives no answer to MQTT within {timeout_s:g} s"
        return f"no MQTT connection: {reasons[0]}" if reasons else ""
    finally:
        client.stop()


def hub_certificate(config: Config, machine: Machine) -> Iterator[Finding]:
    """Check the certificate where there is one, or [web] `tls` needs it."""
    directory = hub_files.of(config, machine.environment).tls_dir
    if is_there(directory / CERTIFICATE_NAME):
        yield certificate(machine, directory, dt.datetime.now(dt.UTC))
    elif config.web.tls and os.access(directory.parent, os.X_OK):
        found = f"no {directory / CERTIFICATE_NAME}, which [web] tls needs"
        mend = f"{machine.sudo}{machine.programs / 'harvester'} tls init"
        yield missing("certificate", found, mend)


def certificate(machine: Machine, directory: Path, now: dt.datetime) -> Finding:
    """Check that the hub's certificate is valid for some weeks to come."""
    # Needs the extra `hub`, which no other machine has.
    from broker.auth import certificates  # noqa: PLC0415

    path = directory / CERTIFICATE_NAME
    mend = f"{machine.sudo}{machine.programs / 'harvester'} tls renew"
    try:
        until = certificates.validity(path).until
    except MisconfiguredError as e:
        return missing("certificate", str(e), mend)
    found = f"{path}, until {until:%Y-%m-%d}"
    if until - now < _RENEW_BEFORE:
        return missing("certificate", found, mend)
    return ok("certificate", found)


def pings(ask: Callable[[], bool]) -> Finding:
    try:
        raw = ask()
    except MisconfiguredError:
        mend = "sudo sysctl net.ipv4.ping_group_range='0 2147483647'"
        return missing("pings", "this user may open no ICMP socket", mend)
    return ok("pings", "through raw sockets" if raw else "through datagram sockets")
