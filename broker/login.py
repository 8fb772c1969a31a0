"""What a client shows the broker: a name with a token, and whom it trusts."""

import ssl
from pathlib import Path

import msgspec


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `ca_file` set: TLS, and the broker's certificate must be signed by it.

    `token` is in no text of it.
    """

    username: str
    token: str
    ca_file: Path | None = None
    # A client certificate, where the broker asks for one.
    certificate_file: Path | None = None
    key_file: Path | None = None

    def __repr__(self) -> str:
        return f"Login({self.username!r})"


def tls_context(login: Login) -> ssl.SSLContext:
    """Return what a client verifies the broker with: its name, and a chain to `ca_file`.

    Raises OSError (ssl.SSLError is one) where a file is missing or holds no certificate.
    """
    context = ssl.create_default_context(cafile=login.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if login.certificate_file is not None:
        context.load_cert_chain(login.certificate_file, login.key_file)
    return context
