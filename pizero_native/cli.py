"""`pizero-native`: the command line of the light service."""

import signal
import sys
from collections.abc import Sequence

from broker.command_line import EXIT_MISCONFIGURED, load, parser
from broker.errors import MisconfiguredError
from pizero_native import service

_STOPS = frozenset({signal.SIGINT, signal.SIGTERM})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service until SIGINT or SIGTERM; return the exit code."""
    options = parser(
        "pizero-native",
        "BME680, own health and pings of a Pi Zero 2W, published to the hub's broker.",
    ).parse_args(argv)
    config = load(options, "pizero")
    # Blocked before any thread starts, and awaited below: no handler can cut into anything.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        service.run(config, _stop_within)
    except MisconfiguredError:
        return EXIT_MISCONFIGURED
    return 0


def _stop_within(seconds: float) -> bool:
    return signal.sigtimedwait(_STOPS, max(0.0, seconds)) is not None


if __name__ == "__main__":
    sys.exit(main())
