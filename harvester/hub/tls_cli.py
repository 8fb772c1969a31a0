"""`harvester tls`: the CA and certificate of the hub's broker."""

import argparse
import datetime as dt
import os
from pathlib import Path

from broker.auth import certificates
from broker.auth.server_tls import CA_NAME, CERTIFICATE_NAME
from bus.config import hub_files
from harvester.hub.options import define_hub_command, hub_config
from harvester.hub.own_names import certificate_names


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's two verbs."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, about, run in (
        ("init", "make a CA and the hub's certificate", _init),
        ("renew", "replace the hub's certificate and keep the CA", _renew),
    ):
        verb = verbs.add_parser(name, help=about)
        define_hub_command(verb, f"{about[0].upper()}{about[1:]}.", run)
        verb.add_argument(
            "--name",
            dest="names",
            action="append",
            default=[],
            metavar="HOST",
            help="a further host name or address under which nodes find the hub",
        )


def _init(options: argparse.Namespace) -> None:
    config = hub_config(options)
    directory = hub_files.of(config, os.environ).tls_dir
    names = certificate_names(config, options.names)
    certificates.init(directory, names, dt.datetime.now(dt.UTC))
    _print_paths(directory)
    print("Restart the hub, then enroll every node again, so that its file holds the CA.")


def _renew(options: argparse.Namespace) -> None:
    config = hub_config(options)
    directory = hub_files.of(config, os.environ).tls_dir
    names = certificate_names(config, options.names) if options.names else []
    certificates.renew(directory, names, dt.datetime.now(dt.UTC))
    _print_paths(directory)
    print("A running hub loads it without a restart.")


def _print_paths(directory: Path) -> None:
    found = certificates.validity(directory / CERTIFICATE_NAME)
    print(f"CA: {directory / CA_NAME}")
    print(f"certificate: until {found.until:%Y-%m-%d} for {', '.join(found.names)}")
