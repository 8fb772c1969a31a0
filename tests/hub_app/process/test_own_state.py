"""State directory of a hub at its start."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec

from bus.config.settings import Config
from hub_app.process.own_state import own_state


def test_what_a_killed_hub_was_writing_is_removed_at_the_next_start(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    folder = tmp_path / "plugin-bundles"
    folder.mkdir()
    half = folder / f".{'a' * 64}.bundle.{killed.pid}.partial"
    whole = folder / f"{'a' * 64}.bundle"
    for path in (half, whole):
        path.touch()
    config = msgspec.convert(
        {"cluster": {"role": "hub"}, "storage": {"state_dir": str(tmp_path)}}, Config
    )

    async def start() -> None:
        async with own_state(config, {}):
            assert not half.exists()

    asyncio.run(start())
    assert whole.exists()
