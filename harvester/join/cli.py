"""`harvester join`: gets this machine's login from the hub, installs the service, waits for it."""

import argparse
import hashlib
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from bus.client import credentials
from bus.client.credentials import Credentials
from bus.contract.join import CODE_VARIABLE, JoinAnswer, JoinRequest
from bus.errors import MisconfiguredError, UnavailableError
from harvester.install import cli as install_cli
from harvester.install import environment, found, tables
from harvester.install.file_steps import WrittenFile
from harvester.install.found import Found
from harvester.install.step import Step, install
from harvester.install.system import System
from harvester.join import hardware, pending
from harvester.join.hardware import Hardware
from harvester.join.hub_client import JoinClient
from harvester.join.pending import Pending

_ONLINE_S = 240.0
_POLL_S = 1.0


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = "Make this machine a node of a hub. The hub's line runs this."
    parser.add_argument("hub", help="https://HOST:PORT of the hub's join listener")
    parser.add_argument("--node", required=True, help="the name that the code is for")
    parser.add_argument("--ca", type=Path, required=True, help="certificate of the hub's CA")
    parser.add_argument("--state", type=Path, required=True, help="folder of the running join")
    parser.add_argument("--environment", type=Path, required=True, help="this environment")
    parser.add_argument("--light", action="store_true", help="the light service of a Pi Zero")
    parser.add_argument("--dht22", type=int, action="append", default=[], metavar="PIN")
    parser.add_argument("--leds", type=int, default=0, metavar="COUNT")
    parser.add_argument("--leds-pin", type=int, default=Hardware().leds_pin, metavar="PIN")
    parser.add_argument("--buzzer", type=int, metavar="PIN", help="pin of its relay")
    parser.add_argument("--fan", type=int, metavar="PIN", help="pin of its relay")
    parser.set_defaults(run=_join)


def _join(options: argparse.Namespace) -> None:
    install_cli.require_root(dry_run=False)
    os.umask(0o022)
    code = os.environ.get(CODE_VARIABLE, "")
    if not code:
        raise MisconfiguredError(f"found no {CODE_VARIABLE}; `harvester join-code` makes the line")
    client = JoinClient(options.hub, code, _text(options.ca))
    seen = found.look()
    print(f"found    {seen}", flush=True)
    kept = pending.load_or_make(options.state, hashlib.sha256(code.encode()).hexdigest())
    answer = client.join(_request(kept, seen))
    print(f"done     login of {answer.node} at {answer.url}", flush=True)
    environment.switch_to(options.environment, Path(environment.LINK))
    _install(_steps(options, seen, answer, _login(options.state, answer, kept)))
    _doctor("pizero" if options.light else "spoke")
    _wait_until_online(client, answer.node, _unit(options))


def _request(kept: Pending, seen: Found) -> JoinRequest:
    chips = [f"BME680 at {address}" for address in seen.bme680_addresses]
    chips += [f"display at {address}" for address in seen.display_addresses]
    return JoinRequest(
        nonce=kept.nonce,
        token_sha256=hashlib.sha256(kept.token.encode()).hexdigest(),
        mosquitto=kept.mosquitto,
        host=platform.node()[:120],
        machine=platform.machine(),
        model=seen.model.name[:120],
        found=chips,
    )


def _login(state: Path, answer: JoinAnswer, kept: Pending) -> bytes:
    """Return the content of the credentials file."""
    file = state / "credentials.toml"
    made = Credentials(
        username=answer.node,
        token=kept.token,
        url=answer.url,
        ca_certificate=answer.ca_certificate,
    )
    credentials.save(file, made)
    return file.read_bytes()


def _steps(
    options: argparse.Namespace, seen: Found, answer: JoinAnswer, login: bytes
) -> list[Step]:
    table = tables.pizero if options.light else tables.node
    steps = table(System(), seen, answer.node, login)
    if options.light:
        return steps
    named = Hardware(
        dht22=options.dht22,
        leds=options.leds,
        leds_pin=options.leds_pin,
        buzzer=options.buzzer,
        fan=options.fan,
    )
    return [_with_hardware(step, named) for step in steps]


def _with_hardware(step: Step, named: Hardware) -> Step:
    """Return the step of the configuration with the hardware of the line; others as they are."""
    path = f"{tables.CONFIGURATIONS}/spoke.toml"
    if not isinstance(step, WrittenFile) or step.path != path:
        return step
    text = hardware.add(step.content.decode(), named)
    return msgspec.structs.replace(step, content=text.encode())


def _install(steps: list[Step]) -> None:
    for outcome in install(steps, dry_run=False):
        print(outcome, flush=True)


def _doctor(role: str) -> None:
    """Print what the machine lacks; the node runs without it as far as it can."""
    program = Path(sys.prefix) / "bin/harvester"
    subprocess.run([program, "doctor", "--role", role], check=False)  # noqa: S603 - fixed words


def _unit(options: argparse.Namespace) -> str:
    return "harvester-pizero" if options.light else "harvester-agent@spoke"


def _wait_until_online(client: JoinClient, node: str, unit: str) -> None:
    print(f"waiting  until the hub hears of {node}", flush=True)
    end_s, system = time.monotonic() + _ONLINE_S, System()
    while time.monotonic() < end_s:
        if _is_online(client):
            print(f"\n{node} is online. Its log: journalctl -fu 'harvester-*'")
            return
        if system.asks("systemctl", "--quiet", "is-failed", unit):
            raise UnavailableError(f"{unit} failed; its reason: journalctl -eu {unit}")
        time.sleep(_POLL_S)
    raise UnavailableError(
        f"{node} is set up, and the hub has not heard of it for {_ONLINE_S:.0f} s; its log: "
        f"journalctl -eu {unit}"
    )


def _is_online(client: JoinClient) -> bool:
    try:
        return client.status().state == "online"
    except UnavailableError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}") from e
