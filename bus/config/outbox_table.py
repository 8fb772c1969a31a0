"""The [outbox] table: times and sizes of the two tiers, and the backlog's rate."""

from typing import Annotated

import msgspec

from bus.config.key_types import Seconds, Table


class OutboxConfig(Table, frozen=True):
    """Readings wait in RAM, and on disk once the hub has not stored them for `disk_after_s`.

    The default of `max_rows` is a week of four sensors at a reading in 2 s each. When the disk's
    part is full by rows or bytes, the oldest readings go, and are counted.
    """

    # Younger readings go out on their own topic, older ones as backlog. While the hub takes longer
    # to answer, what it was sent waits longer, too.
    live_s: Seconds = 6.0
    disk_after_s: Seconds = 60.0
    disk_every_s: Seconds = 60.0
    max_rows: Annotated[int, msgspec.Meta(ge=100, le=100_000_000)] = 1_250_000
    max_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 256
    # The part in RAM, which grows beyond `disk_after_s` only while the disk takes nothing.
    ram_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 8
    backlog_rows_per_s: Annotated[float, msgspec.Meta(ge=1, le=100_000)] = 1000.0
    # A batch that the hub has not stored within this is sent again.
    resend_s: Seconds = 15.0
