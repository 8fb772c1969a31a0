"""`harvester broker`: files for another broker in the hub's place, and the hub's broker alone."""

import argparse
import os
from pathlib import Path

from broker.auth import accounts, enrolment
from broker.auth.accounts import Accounts
from broker.auth.open_topics import Scope
from broker.external import mosquitto as files_of_mosquitto
from broker.external import nats
from bus.client import credentials
from bus.config import broker_url, command_line, hub_files
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.files.private_file import write
from harvester.hub.options import define_hub_command, hub_config

_LOCAL_PORT = 1884


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's two verbs."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    about = "write the files of Mosquitto or NATS: access rules, passwords, listeners"
    acl = verbs.add_parser("acl", help=about)
    define_hub_command(acl, f"{about[0].upper()}{about[1:]}.", _acl)
    acl.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write the files to"
    )
    acl.add_argument(
        "--format",
        choices=("mosquitto", "nats"),
        default="mosquitto",
        help="the broker that the files are for; default: %(default)s",
    )
    acl.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="make accounts for N workers of the hub, too (hub-app --share K/N)",
    )
    acl.add_argument(
        "--local-port",
        type=int,
        default=_LOCAL_PORT,
        help=f"Mosquitto's port that needs no login, for clients on that machine; default: "
        f"{_LOCAL_PORT}",
    )
    acl.add_argument(
        "--installed",
        metavar="DIR",
        help="folder where the broker will find the files; default: /etc/mosquitto/harvester or "
        "/etc/nats",
    )
    run = verbs.add_parser(
        "run", help="run the hub's broker alone, without logins, on the loopback address: for tests"
    )
    command_line.add_options(run)
    run.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    # It loads amqtt, which no other command needs.
    from harvester.hub import open_broker  # noqa: PLC0415

    open_broker.run(command_line.load(options, "hub").broker)


def _acl(options: argparse.Namespace) -> None:
    config = hub_config(options)
    files = hub_files.of(config, os.environ)
    is_nats = options.format == "nats"
    _enroll_this_machine(config, files, with_nats=is_nats)
    found = accounts.load(files.accounts)
    texts = (_of_nats if is_nats else _of_mosquitto)(found, config, options)
    for name, text in texts.items():
        write(options.output / name, text.encode())
        print(options.output / name)


def _of_mosquitto(found: Accounts, config: Config, options: argparse.Namespace) -> dict[str, str]:
    folder = options.installed or "/etc/mosquitto/harvester"
    port, tls = _listener(config)
    workers = _workers(config, options)
    return {
        files_of_mosquitto.ACL_NAME: files_of_mosquitto.acl(
            found,
            allow_local=config.broker.allow_local,
            scope=_scope(config),
            workers=workers,
        ),
        files_of_mosquitto.PASSWORDS_NAME: files_of_mosquitto.password_file(found, workers=workers),
        files_of_mosquitto.CONF_NAME: files_of_mosquitto.conf(
            config.broker,
            folder,
            port=port,
            local_port=options.local_port,
            tls_folder=folder if tls else "",
        ),
    }


def _of_nats(found: Accounts, config: Config, options: argparse.Namespace) -> dict[str, str]:
    port, tls = _listener(config)
    text = nats.conf(
        found,
        config.broker,
        port=port,
        tls_folder=(options.installed or "/etc/nats") if tls else "",
        scope=_scope(config),
        workers=_workers(config, options),
    )
    return {nats.CONF_NAME: text}


def _scope(config: Config) -> Scope:
    return Scope(config.homeassistant.prefix, tuple(config.broker.open_roots))


def _listener(config: Config) -> tuple[int, bool]:
    """Return the port, and whether TLS is on it, of the broker in the hub's place."""
    if not config.broker.url:
        return config.broker.port, False
    url = broker_url.parse(config.broker.url, "broker.url")
    return url.port, url.tls


def _workers(config: Config, options: argparse.Namespace) -> int:
    own = config.broker.worker
    return options.workers or (own.count if own is not None else 0)


def _enroll_this_machine(config: Config, files: HubFiles, *, with_nats: bool) -> None:
    """Give the hub and its own node their logins, if they have none that this broker can check."""
    node_file = credentials.path_for(config, os.environ)
    enrolment.ensure(files.accounts, config.cluster.node_id, node_file, with_nats=with_nats)
    hub_file = files.login_dir / credentials.HUB_FILE_NAME
    enrolment.ensure_hub(files.accounts, hub_file, with_nats=with_nats)
