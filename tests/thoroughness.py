"""Thoroughness of tests that try many examples: some in each run, many by night.

`HARVESTER_THOROUGHNESS=10` multiplies their number; `make test-thorough` sets it.
"""

import os

_FACTOR = int(os.environ.get("HARVESTER_THOROUGHNESS", "1"))


def examples(number: int) -> int:
    """Return how many examples to try where each run tries `number`."""
    return number * _FACTOR
