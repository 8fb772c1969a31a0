"""Endpoint of joins: address and public key of the listener, and the line that a person copies."""

from pathlib import Path

import msgspec

from broker.auth.server_tls import CERTIFICATE_NAME
from bus.config import broker_url
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.contract.join import JOIN_PATH
from bus.errors import MisconfiguredError

_LOCAL = ("localhost", "127.0.0.1", "::1")


class JoinEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`names` are those of the hub's certificate; the first is the one that others know."""

    names: tuple[str, ...]
    pin: str
    port: int
    broker_port: int
    page_scheme: str
    page_port: int
    page_path: str

    def host(self, asked: str = "") -> str:
        """Return the name by which somebody asked, where the certificate has it, or the first."""
        return asked if asked in self.names else self.names[0]

    def line(self, code: str, asked: str = "") -> str:
        """Return the line to run on the new machine.

        -k: the pin makes the answer authentic, whoever signed the certificate. No -f: a refusal is
        a script, too, which prints the hub's sentence.
        """
        url = f"{self.url(asked)}{JOIN_PATH}/{code}"
        return f"curl -sSk --pinnedpubkey '{self.pin}' {url} | sudo sh"

    def url(self, asked: str = "") -> str:
        return f"https://{_in_url(self.host(asked))}:{self.port}"

    def broker_url(self, asked: str = "") -> str:
        return broker_url.make(self.host(asked), self.broker_port, tls=True)

    def page_url(self, asked: str = "") -> str:
        return f"{self.page_scheme}://{_in_url(self.host(asked))}:{self.page_port}{self.page_path}/"


def listen_address(config: Config) -> tuple[str, int]:
    """Return host and port on which the hub listens for machines that join."""
    return config.web.join_listen or config.broker.listen, config.web.join_port


def of(config: Config, files: HubFiles) -> JoinEndpoint:
    """Return the endpoint of this hub's joins.

    Raises MisconfiguredError where there can be none, with what to do about it.
    """
    if not config.embeds_broker:
        raise MisconfiguredError(
            "found another broker in broker.url, whose logins this hub does not make; use "
            "`harvester enroll` and `harvester broker acl`"
        )
    # `cryptography` takes 7 MB, which a hub that no machine joins saves.
    from broker.auth import certificates  # noqa: PLC0415

    certificate = files.tls_dir / CERTIFICATE_NAME
    if not _exists(certificate):
        raise MisconfiguredError(
            f"found no certificate {certificate}, and machines join over TLS only; run "
            "`harvester tls init` and restart the hub"
        )
    found = certificates.validity(certificate).names
    names = sorted(found, key=lambda name: name in _LOCAL)
    if not names:
        raise MisconfiguredError(
            f"{certificate}: found no name in it; `harvester tls renew --name ADDRESS` adds one"
        )
    pin = certificates.public_key_pin(certificate)
    web = config.web
    return JoinEndpoint(
        names=tuple(names),
        pin=pin,
        port=web.join_port,
        broker_port=config.broker.tls_port,
        page_scheme="https" if web.tls else "http",
        page_port=web.port,
        page_path=web.root_path,
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; run this with sudo") from e


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
