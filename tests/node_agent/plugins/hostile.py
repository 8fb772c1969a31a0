"""A hostile plugin beside a healthy one, in the same cycles."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from bus.config.settings import Grant
from node_agent.sandbox.runtime import Runtime
from tests.node_agent.plugins.test_runner import Bench
from tests.node_agent.sandbox.test_instance import EVERYTHING
from tests.support import WAIT_S

BEAT_S = 0.05


class Neighbours:
    """Two runners of one runtime; the healthy one must return a reading in every cycle."""

    def __init__(
        self,
        runtime: Runtime,
        file: Path,
        directory: Path,
        grant: Grant = EVERYTHING,
        *,
        hostile_runtime: Runtime | None = None,
    ) -> None:
        self.healthy = Bench(runtime, file, directory / "healthy", name="healthy")
        self.hostile = Bench(hostile_runtime or runtime, file, directory / "hostile", grant)
        self._pause = threading.Event()

    def __enter__(self) -> Self:
        self.healthy.beat_until(self.healthy.is_running)
        self.hostile.beat_until(self.hostile.is_running)
        self.healthy.runner.wait_idle(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        for bench in (self.hostile, self.healthy):
            bench.runner.stop(0.5 if bench.runner.left_behind else WAIT_S)

    def beat(self) -> None:
        """Run a cycle of both; the healthy one must poll once in it."""
        polled = len(self.healthy.samples)
        for bench in (self.hostile, self.healthy):
            bench.runner.run_cycle(time.monotonic() + bench.ahead_s)
        assert self.healthy.runner.wait_idle(WAIT_S)
        assert len(self.healthy.samples) == polled + 1, self.healthy.state()
        self._pause.wait(BEAT_S)

    def beat_until(self, done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < deadline_s, self.hostile.state()
            self.beat()
