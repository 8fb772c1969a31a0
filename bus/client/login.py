"""Login of an MQTT client: user name, token, certificates, and its TLS context."""

import contextlib
import os
import ssl
from collections.abc import Iterator

import msgspec


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `tls`: the broker's certificate must chain to `ca_pem`.

    Without `ca_pem` it must chain to one of the machine's authorities. `username` empty: a
    connection without a login. `certificate_pem` with its `key_pem` is for a broker that asks for a
    client certificate. `repr` omits the token and the key.
    """

    username: str = ""
    token: str = ""
    tls: bool = False
    ca_pem: str = ""
    certificate_pem: str = ""
    key_pem: str = ""

    def __repr__(self) -> str:
        return f"Login({self.username!r}, tls={self.tls})"


def doctor_client_id(node: str) -> str:
    """Return the client identifier of a node's second connection: it ends no agent's.

    It has a dot, as no node's name has.
    """
    return f"{node}.doctor"


def tls_context(login: Login) -> ssl.SSLContext:
    """Return a TLS context that checks the broker's name and its chain to `ca_pem`.

    Raises OSError (ssl.SSLError is one) or ValueError where a certificate or key is invalid.
    """
    context = ssl.create_default_context(cadata=login.ca_pem or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if login.certificate_pem:
        with _as_file(login.certificate_pem + "\n" + login.key_pem) as path:
            context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Give `text` a path that only this process can open: OpenSSL reads keys only from files."""
    descriptor = os.memfd_create("key")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
