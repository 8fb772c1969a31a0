"""An open history database."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_app.history.schema import open_history


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_history(tmp_path / "history.db")) as opened:
        yield opened
