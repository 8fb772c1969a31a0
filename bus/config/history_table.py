"""The [history] and [backup] tables: commits and retention of the hub's history, its backups."""

from typing import Annotated

import msgspec

from bus.config.key_types import Table

Days = Annotated[float, msgspec.Meta(gt=0, le=36_500)]


class HistoryConfig(Table, frozen=True):
    """Single readings are kept for `raw_days`; their 5-minute means, minima, maxima for longer."""

    # Readings of so long are one commit; a power cut of hub and node costs nothing of them.
    commit_s: Annotated[float, msgspec.Meta(ge=0.05, le=60)] = 2.0
    raw_days: Days = 30.0
    mean_days: Days = 730.0
    # Log lines of all nodes; above the size, the oldest of the node that has most are deleted.
    log_days: Days = 7.0
    log_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 64


class BackupConfig(Table, frozen=True):
    """Nightly backups, the newest `keep` of which are kept.

    An empty `directory` is that of the service.
    """

    directory: str = ""
    keep: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 7
