"""Wait for a new node: until the hub hears of it, or its service has failed."""

import time
from collections.abc import Callable

from bus.contract.join import JoinStatus
from bus.errors import UnavailableError
from harvester.install.system import System

_ONLINE_S = 240.0
_POLL_S = 0.5


def wait(
    ask: Callable[[], JoinStatus],
    unit: str,
    system: System,
    *,
    limit_s: float = _ONLINE_S,
    poll_s: float = _POLL_S,
) -> None:
    """Return when the hub says that the node is online; `ask` asks the hub.

    Raises UnavailableError where the service fails, or nothing comes within `limit_s`.
    """
    end_s = time.monotonic() + limit_s
    while not _is_online(ask):
        if system.asks("systemctl", "--quiet", "is-failed", unit):
            raise UnavailableError(f"{unit} failed; its reason: journalctl -eu {unit}")
        if time.monotonic() > end_s:
            raise UnavailableError(
                f"the node is set up, and the hub has not heard of it for {limit_s:.0f} s; its "
                f"log: journalctl -eu {unit}"
            )
        time.sleep(poll_s)


def _is_online(ask: Callable[[], JoinStatus]) -> bool:
    try:
        return ask().state == "online"
    except UnavailableError:
        return False
