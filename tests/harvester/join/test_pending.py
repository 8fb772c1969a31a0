"""Secrets of a join that has begun: kept for its code, made anew for another."""

import stat
from pathlib import Path

import pytest

from broker.auth import tokens
from bus.errors import MisconfiguredError
from harvester.join import pending


def test_an_interrupted_join_goes_on_with_its_token(tmp_path: Path) -> None:
    first = pending.load_or_make(tmp_path, "a" * 64)
    assert pending.load_or_make(tmp_path, "a" * 64) == first
    assert pending.load_or_make(tmp_path, "b" * 64).token != first.token


def test_the_token_is_for_nobody_else(tmp_path: Path) -> None:
    made = pending.load_or_make(tmp_path, "a" * 64)
    assert stat.S_IMODE((tmp_path / pending.FILE_NAME).stat().st_mode) == 0o600
    assert made.token not in repr(made)
    assert made.mosquitto.startswith("$7$")
    assert len(made.token) == len(tokens.new_token())


def test_a_broken_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    pending.load_or_make(tmp_path, "a" * 64)
    (tmp_path / pending.FILE_NAME).write_text("{")
    with pytest.raises(MisconfiguredError, match=r"join\.json: .*; remove it"):
        pending.load_or_make(tmp_path, "a" * 64)
