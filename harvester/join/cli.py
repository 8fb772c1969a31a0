"""`harvester join`: gets this machine's login from the hub, installs the service, waits for it."""

import argparse
import hashlib
import os
import platform
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from broker.auth import tokens
from bus.client import credentials
from bus.client.credentials import Credentials
from bus.config.web_table import WebConfig
from bus.contract.join import CODE_VARIABLE, Attached, JoinAnswer, JoinRequest
from bus.errors import MisconfiguredError
from harvester.install import attached_options, found, tables
from harvester.install import cli as install_cli
from harvester.install.environment import LINK
from harvester.install.found import Found
from harvester.install.step import Step, install
from harvester.install.system import System
from harvester.install.tables import NodeOptions
from harvester.join import former_configuration, online, pending
from harvester.join.hub_client import JoinClient
from harvester.join.pending import Pending


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = "Make this machine a node of a hub. The hub's line runs this."
    parser.add_argument("hub", help="https://HOST:PORT of the hub's join listener")
    parser.add_argument("--node", required=True, help="the name that the code is for")
    parser.add_argument("--ca", type=Path, required=True, help="certificate of the hub's CA")
    parser.add_argument("--state", type=Path, required=True, help="folder of the running join")
    parser.add_argument("--light", action="store_true", help="the light service of a Pi Zero")
    parser.add_argument("--dry-run", action="store_true", help="print every step; change nothing")
    attached_options.define(parser)
    parser.set_defaults(run=_join)


def _join(options: argparse.Namespace) -> None:
    install_cli.require_root(dry_run=options.dry_run)
    os.umask(0o022)
    code = os.environ.get(CODE_VARIABLE, "")
    if not code:
        raise MisconfiguredError(f"found no {CODE_VARIABLE}; `harvester join-code` makes the line")
    # A wrong option is refused before the code is used.
    said = NodeOptions(
        attached=attached_options.read(options), area=attached_options.read_area(options)
    )
    client = JoinClient(options.hub, code, _text(options.ca))
    seen = found.look()
    print(f"found    {seen}", flush=True)
    if options.dry_run:
        _print_steps(options, said, client, seen)
        return
    kept = pending.load_or_make(options.state, hashlib.sha256(code.encode()).hexdigest())
    answer = client.join(_request(kept, seen))
    print(f"done     login of {answer.node} at {answer.url}", flush=True)
    role = "pizero" if options.light else "spoke"
    if moved := former_configuration.move_aside(Path(tables.CONFIGURATIONS), role, answer.node):
        print(f"done     {moved.name}: the configuration of another node, put aside", flush=True)
    chosen = _chosen(options, said, answer, kept.token)
    _install(_steps(options, seen, answer.node, chosen), role)
    unit = "harvester-pizero" if options.light else "harvester-agent@spoke"
    print(f"waiting  until the hub hears of {answer.node}", flush=True)
    online.wait(client.status, unit, System())
    print(f"\n{answer.node} is online. The page: {answer.page}\nIts log: journalctl -fu {unit}")


def _print_steps(
    options: argparse.Namespace, said: NodeOptions, client: JoinClient, seen: Found
) -> None:
    """Print what a join would do; the code stays unused."""
    status = client.status()
    print(f"would do login of {status.node} at the hub", flush=True)
    answer = JoinAnswer(
        node=status.node, url=f"mqtts://{client.host}", ca_certificate=_text(options.ca), page=""
    )
    chosen = _chosen(options, said, answer, tokens.new_token())
    for outcome in install(_steps(options, seen, status.node, chosen), dry_run=True):
        print(outcome, flush=True)


def _request(kept: Pending, seen: Found) -> JoinRequest:
    return JoinRequest(
        nonce=kept.nonce,
        token_sha256=hashlib.sha256(kept.token.encode()).hexdigest(),
        mosquitto=kept.mosquitto,
        host=platform.node()[:120],
        machine=platform.machine(),
        model=seen.model.name[:120],
        found=seen.chips,
    )


def _login(answer: JoinAnswer, token: str) -> bytes:
    """Return the content of the credentials file."""
    made = Credentials(
        username=answer.node,
        token=token,
        url=answer.url,
        ca_certificate=answer.ca_certificate,
        bundle_key=answer.bundle_key,
    )
    return credentials.encode(made)


def _chosen(
    options: argparse.Namespace, said: NodeOptions, answer: JoinAnswer, token: str
) -> NodeOptions:
    """Return what the hub says of the node; what the line said goes before it."""
    is_said = said.attached != Attached()
    return NodeOptions(
        credentials=_login(answer, token),
        join_port=urlsplit(options.hub).port or WebConfig().join_port,
        attached=said.attached if is_said else answer.attached or Attached(),
        area=said.area or answer.area,
    )


def _steps(options: argparse.Namespace, seen: Found, node: str, chosen: NodeOptions) -> list[Step]:
    table = tables.pizero if options.light else tables.node
    return table(System(), seen, node, chosen)


def _install(steps: list[Step], role: str) -> None:
    """Apply the steps; the doctor examines the machine before the last one starts the service."""
    for number, outcome in enumerate(install(steps, dry_run=False), start=2):
        print(outcome, flush=True)
        if number == len(steps):
            _doctor(role)


def _doctor(role: str) -> None:
    """Print what the machine lacks; the node runs without it as far as it can."""
    program = Path(LINK) / "bin/harvester"
    subprocess.run([program, "doctor", "--role", role], check=False)  # noqa: S603 - fixed words


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}") from e
