"""Choice of the broker under test: ours, or stock amqtt with HARVESTER_BROKER=stock.

Against amqtt the tests of its faults must fail; that shows what they are worth, and which of them
a newer amqtt would not need any more.
"""

import os

import pytest

from tests.support import WAIT_S

STOCK = os.environ.get("HARVESTER_BROKER") == "stock"
# Whoever waits in vain, as most do there, should do so briefly.
PATIENCE_S = 2.0 if STOCK else WAIT_S
# For tests of what only ours has: a bound, a method, a store.
ours_only = pytest.mark.skipif(STOCK, reason="amqtt has no such thing")
