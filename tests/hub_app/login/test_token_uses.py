"""The last use of tokens: shown to the owner, and rarely written."""

from pathlib import Path

import msgspec

from hub_app.login import token_uses
from hub_app.login.token_uses import TokenUses

MINUTE_MS = 60_000


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_795_000_000_000

    def __call__(self) -> int:
        return self.now_ms


def test_a_use_is_written_once_in_ten_minutes_and_at_the_end(tmp_path: Path) -> None:
    path, clock = tmp_path / token_uses.FILE_NAME, Clock()
    uses = TokenUses(path, clock)
    first_ms = clock.now_ms
    uses.note("robot")
    uses.save()
    assert token_uses.load(path) == {"robot": first_ms}
    clock.now_ms += 9 * MINUTE_MS
    uses.note("robot")
    uses.save()
    assert token_uses.load(path) == {"robot": first_ms}
    clock.now_ms += MINUTE_MS
    uses.note("robot")
    uses.save()
    assert token_uses.load(path) == {"robot": clock.now_ms}
    clock.now_ms += MINUTE_MS
    uses.note("robot")
    uses.save(all_uses=True)
    assert token_uses.load(path) == {"robot": clock.now_ms}


def test_uses_outlive_a_restart_and_not_their_token(tmp_path: Path) -> None:
    path, clock = tmp_path / token_uses.FILE_NAME, Clock()
    for name in ("robot", "gone"):
        uses = TokenUses(path, clock)
        uses.note(name)
        uses.save(all_uses=True)
    assert token_uses.load(path).keys() == {"robot", "gone"}
    uses = TokenUses(path, clock)
    uses.keep_only({"robot"})
    uses.save(all_uses=True)
    assert token_uses.load(path).keys() == {"robot"}


def test_without_a_file_nothing_is_written(tmp_path: Path) -> None:
    uses = TokenUses(None, Clock())
    uses.note("robot")
    uses.save(all_uses=True)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_costs_the_times_alone(tmp_path: Path) -> None:
    path = tmp_path / token_uses.FILE_NAME
    path.write_bytes(b"[")
    assert token_uses.load(path) == {}
    path.write_bytes(msgspec.json.encode({"robot": 5}))
    assert token_uses.load(path) == {"robot": 5}
