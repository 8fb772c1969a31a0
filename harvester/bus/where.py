"""Address of the broker, and login of the person who uses `harvester bus`.

A node's own login is left alone: a broker knows a node by it, and would end the connection of the
node's program for this one.
"""

import argparse
import getpass
import os
import sys
from pathlib import Path

from bus.client import credentials
from bus.client.login import Login, tls_context
from bus.config import broker_url, command_line, config_file, hub_files
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.files import private_file
from harvester.bus.session import BusSession

_CA_NAME = "ca.pem"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the configuration, the broker and the login."""
    command_line.add_options(parser)
    parser.add_argument(
        "--broker",
        metavar="URL",
        default="",
        help="mqtt://HOST or mqtts://HOST, either with :PORT, several separated by commas; "
        "default: the configuration's",
    )
    parser.add_argument(
        "--user",
        metavar="NAME",
        default="",
        help="log in as this person, who is asked for the password; the hub's own machine needs no "
        "login",
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="read the password of --user from this file, which others may not read",
    )
    parser.add_argument(
        "--ca",
        type=Path,
        metavar="FILE",
        help="CA certificate of an mqtts:// broker; default: the hub's or this node's",
    )


def session(options: argparse.Namespace) -> BusSession:
    """Return the connection that the options ask for. Raises MisconfiguredError."""
    config = _config(options)
    url = broker_url.parse(*_url(options, config))
    login = Login(
        username=options.user,
        token=_password(options),
        tls=url.tls,
        ca_pem=_ca(options, config) if url.tls else "",
    )
    if url.tls:
        _check(login)
    return BusSession(url.addresses, login)


def _config(options: argparse.Namespace) -> Config:
    # The command says everything itself; `--set logging.level=debug` shows more.
    options.overrides.insert(0, "logging.level=error")
    role = "hub"
    if options.config is None:
        found = {role: config_file.find(role, options.project) for role in ("hub", "spoke")}
        role = "spoke" if found["spoke"] and not found["hub"] else "hub"
        options.config = found[role]
        if options.config is None:
            options.overrides.insert(0, "cluster.role=hub")
    return command_line.load(options, role)


def _url(options: argparse.Namespace, config: Config) -> tuple[str, str]:
    """Return the URL and the option or key that it is from."""
    if options.broker:
        return options.broker, "--broker"
    found = _credentials(config)
    if not config.embeds_broker and not config.broker.url and found is not None and found.url:
        return found.url, "url"
    return config.broker_url, "broker.url"


def _password(options: argparse.Namespace) -> str:
    if not options.user:
        return ""
    if options.password_file is not None:
        return _secret(options.password_file)
    if not sys.stdin.isatty():
        raise MisconfiguredError(
            "--user: found no terminal to ask for the password, expected --password-file"
        )
    return getpass.getpass(f"Password of {options.user}: ")


def _secret(file: Path) -> str:
    try:
        return private_file.read(file).decode().strip()
    except FileNotFoundError as e:
        raise MisconfiguredError(f"--password-file: found no {file}") from e
    except UnicodeDecodeError as e:
        raise MisconfiguredError(f"--password-file: found no UTF-8 in {file}") from e


def _ca(options: argparse.Namespace, config: Config) -> str:
    """Return the CA certificate; an empty text stands for the machine's authorities."""
    if options.ca is not None:
        return _text(options.ca)
    found = _credentials(config)
    if found is not None and found.ca_certificate:
        return found.ca_certificate
    if config.cluster.role == "hub":
        file = hub_files.of(config, os.environ).tls_dir / _CA_NAME
        return _text(file) if file.is_file() else ""
    return ""


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise MisconfiguredError(f"{file}: {e}; expected a readable certificate") from e


def _credentials(config: Config) -> credentials.Credentials | None:
    """Return the file of this node's login, for its address and certificate."""
    file = credentials.path_for(config, os.environ)
    try:
        return credentials.load(file)
    except MisconfiguredError:
        # Another user's file: --broker and --ca say the same.
        return None


def _check(login: Login) -> None:
    try:
        tls_context(login)
    except (OSError, ValueError) as e:
        raise MisconfiguredError(f"--ca: found no usable certificate: {e}") from e
