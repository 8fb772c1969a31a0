"""The [limits] table: what one node may occupy at the hub."""

from typing import Annotated

import msgspec

from bus.config.history_table import Days
from bus.config.key_types import Table

Places = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Megabytes = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class LimitsConfig(Table, frozen=True):
    """Quotas of one node, but for `nodes`. A healthy node meets none of them."""

    nodes: Places = 2_000
    sensors: Places = 128
    plugins: Places = 64
    # Names of actuators whose last result is kept.
    actuators: Places = 32
    # Alarms that are active at a time.
    alarms: Places = 256
    # Newest readings, plugin states, results and descriptions in the live state; log lines beside.
    live_kb: Places = 512
    log_kb: Places = 512
    log_lines_per_minute: Places = 1200
    # Events of sensors; changes of presence and of plugins, in the history.
    events_per_minute: Places = 200
    # Starts of a node's program whose readings the history still has.
    streams: Places = 5000
    # Starts of a node's machine whose clock the history remembers; the oldest are forgotten.
    boots: Places = 100
    # Sets of field names that the node's sensors ever had.
    field_sets: Places = 500
    # A day of UTC; the count begins anew when the hub starts.
    history_mb_per_day: Megabytes = 256
    # The places of a node or sensor that is silent for so long are free again.
    silent_days: Days = 30.0
