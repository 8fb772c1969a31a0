"""What a client shows the broker: a name with a token, and whom it trusts."""

import contextlib
import os
import ssl
from collections.abc import Iterator

import msgspec


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `tls`: the broker's certificate must chain to `ca_pem`.

    Without `ca_pem` it must chain to one of the machine's authorities. `username` empty: a
    connection without a login. `certificate_pem` with its `key_pem` is for a broker that asks for a
    client certificate. Neither `token` nor `key_pem` is in any text of it.
    """

    username: str = ""
    token: str = ""
    tls: bool = False
    ca_pem: str = ""
    certificate_pem: str = ""
    key_pem: str = ""

    def __repr__(self) -> str:
        return f"Login({self.username!r}, tls={self.tls})"


def tls_context(login: Login) -> ssl.SSLContext:
    """Return what a client verifies the broker with: its name, and a chain to `ca_pem`.

    Raises OSError (ssl.SSLError is one) or ValueError where a certificate or key is none.
    """
    context = ssl.create_default_context(cadata=login.ca_pem or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if login.certificate_pem:
        with _as_file(login.certificate_pem + "\n" + login.key_pem) as path:
            context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Give `text` a path that only this process can open: OpenSSL reads a key from files alone."""
    descriptor = os.memfd_create("key")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
