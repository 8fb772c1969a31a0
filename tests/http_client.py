"""HTTP clients of tests: patient, without proxies, and never on a connection about to be closed."""

import ssl

import httpx

from tests.support import WAIT_S

# The hub closes an idle connection after 5 s, perhaps just when a request is sent.
IDLE = httpx.Limits(keepalive_expiry=1.0)


def http_client(
    base_url: str,
    *,
    address: str | None = None,
    trust: ssl.SSLContext | None = None,
    headers: dict[str, str] | None = None,
    retries: int = 0,
) -> httpx.Client:
    """Return a client; `address` is its own, `retries` are for a port that is not open yet."""
    transport = httpx.HTTPTransport(
        local_address=address, verify=trust or True, limits=IDLE, retries=retries
    )
    return httpx.Client(
        base_url=base_url, transport=transport, headers=headers, timeout=WAIT_S, trust_env=False
    )


def get(url: str, auth: tuple[str, str] | None = None) -> httpx.Response:
    """Return the answer to one request on a connection of its own."""
    return httpx.get(url, auth=auth, timeout=WAIT_S, trust_env=False)
