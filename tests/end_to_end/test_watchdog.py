"""Each service tells systemd that it is up and goes on; one that is stopped or hangs does not."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bus.config import config_file
from bus.service_manager import ServiceManager
from hub_app.hub import Hub
from hub_app.serving.watchdog import Watchdog
from node_agent.agent import Agent
from node_agent.hal.board import open_hardware
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.support import HOST, WAIT_S, Service, free_port, settings

# A third of it is the interval of the notifications.
WATCHDOG_S = 0.3
# Long enough for several notifications.
SILENCE_S = 1.0
FED = "WATCHDOG=1"


class Manager:
    """The receiving end of the notifications, as systemd has it."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.environment = {
            "NOTIFY_SOCKET": str(path),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1_000_000)),
        }

    def close(self) -> None:
        self._socket.close()

    def wait_for(self, assignment: str) -> list[str]:
        """Return all that came up to and including `assignment`."""
        self._socket.settimeout(WAIT_S)
        heard: list[str] = []
        while assignment not in heard:
            heard += self._socket.recv(4096).decode().split("\n")
        return heard

    def is_silent(self) -> bool:
        """Whether nothing comes any more, once what is underway has been read."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(4096):
                pass
        except BlockingIOError:
            pass
        self._socket.settimeout(SILENCE_S)
        try:
            return not self._socket.recv(4096)
        except TimeoutError:
            return True


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def hub(directory: Path) -> Service:
    config = directory / "hub.toml"
    config.write_text("")
    keys = settings(
        cluster__role="hub",
        web__listen=HOST,
        web__port=free_port(),
        broker__listen=HOST,
        broker__port=free_port(),
        plugins__directory=directory,
        storage__state_dir=directory / "state",
    )
    return Service("tests.hub_app.hub_process", ["--config", str(config), *keys], directory / "log")


def node_settings(directory: Path) -> list[str]:
    return settings(
        broker__url=f"mqtt://{HOST}:{free_port()}",
        web__listen=HOST,
        web__port=free_port(),
        plugins__enabled="[]",
        storage__state_dir=directory / "state",
        storage__cache_dir=directory / "cache",
        storage__runtime_dir=directory / "run",
        # Longer than the watchdog waits: the pause between two cycles counts as life.
        polling__interval_seconds=3600,
    )


def agent(directory: Path) -> Service:
    arguments = ["--role", "spoke", "--simulate", "--config", "config/spoke.toml"]
    return Service("node_agent.cli", [*arguments, *node_settings(directory)], directory / "log")


def pizero(directory: Path) -> Service:
    arguments = ["--simulate", "--config", "config/pizero.toml"]
    return Service("pizero_native.cli", [*arguments, *node_settings(directory)], directory / "log")


def wait_until_stopped(pid: int) -> None:
    waiting = threading.Event()
    for _ in range(int(WAIT_S / 0.01)):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        waiting.wait(0.01)
    pytest.fail(f"{pid} was not stopped")


@pytest.mark.parametrize("start", [hub, agent, pizero])
def test_a_service_is_ready_and_alive_until_it_is_stopped(
    start: Callable[[Path], Service],
    manager: Manager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key, text in manager.environment.items():
        monkeypatch.setenv(key, text)
    with start(tmp_path) as service:
        assert FED not in manager.wait_for("READY=1")
        for _ in range(3):
            manager.wait_for(FED)
        os.kill(service.process.pid, signal.SIGSTOP)
        wait_until_stopped(service.process.pid)
        assert manager.is_silent()
        os.kill(service.process.pid, signal.SIGCONT)
        manager.wait_for(FED)
        assert service.stop() == 0
        manager.wait_for("STOPPING=1")


def test_an_agent_whose_cycle_hangs_is_not_alive(manager: Manager, tmp_path: Path) -> None:
    config = config_file.load(
        None,
        [
            "hardware.driver=simulated",
            "leds.count=3",
            "polling.interval_seconds=0.1",
            f"broker.url=mqtt://{HOST}:{free_port()}",
            *(f"storage.{name}_dir={tmp_path / name}" for name in ("state", "cache", "runtime")),
        ],
    )
    hangs, has_hung, goes_on = threading.Event(), threading.Event(), threading.Event()
    hardware = open_hardware(config)
    show = hardware.show_pixels

    def show_pixels(pixels: Any) -> None:
        if hangs.is_set():
            has_hung.set()
            goes_on.wait(WAIT_S)
        show(pixels)

    hardware.show_pixels = show_pixels  # type: ignore[method-assign]
    with Runtime(tmp_path / "cache", Limits()) as runtime:
        service = ServiceManager(manager.environment)
        agent = Agent(config, hardware, runtime, tmp_path / "state", service)
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            manager.wait_for(FED)
            hangs.set()
            assert has_hung.wait(WAIT_S)
            assert manager.is_silent()
            goes_on.set()
            manager.wait_for(FED)
        finally:
            goes_on.set()
            agent.stop()
            thread.join(WAIT_S)


class Part:
    """A part of the hub that can stand still."""

    def __init__(self) -> None:
        self.goes_on = True
        self.statistics = SimpleNamespace()

    def is_alive(self, _patience_s: float) -> bool:
        return self.goes_on


@pytest.mark.parametrize("part", ["broker", "history"])
def test_a_hub_with_a_dead_part_is_not_alive(
    part: str, manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    history = Part()
    history.statistics = SimpleNamespace(stored=7)
    parts = SimpleNamespace(
        broker=Part(),
        history=history,
        bus=SimpleNamespace(connected=True),
        faults=["the disk is full"],
    )
    status = "STATUS=stored=7 faults=1 loading=0 connected=1: the disk is full"

    async def run() -> None:
        async with Watchdog(ServiceManager(manager.environment)) as watchdog:
            watchdog.watch(cast("Hub", parts))
            assert status in await asyncio.to_thread(manager.wait_for, FED)
            getattr(parts, part).goes_on = False
            assert await asyncio.to_thread(manager.is_silent)
            getattr(parts, part).goes_on = True
            await asyncio.to_thread(manager.wait_for, FED)

    asyncio.run(run())
    assert caplog.messages == [f"the {part} stands still: the service manager is told nothing"]


def test_a_hub_whose_event_loop_hangs_is_not_alive(manager: Manager) -> None:
    history = Part()
    history.statistics = SimpleNamespace(stored=0)
    parts = SimpleNamespace(
        broker=Part(), history=history, bus=SimpleNamespace(connected=True), faults=[]
    )

    async def run() -> None:
        async with Watchdog(ServiceManager(manager.environment)) as watchdog:
            watchdog.watch(cast("Hub", parts))
            await asyncio.to_thread(manager.wait_for, FED)
            # Called in the loop: it hangs meanwhile.
            assert manager.is_silent()
            await asyncio.to_thread(manager.wait_for, FED)

    asyncio.run(run())


def test_a_hub_that_still_starts_asks_for_more_time(manager: Manager) -> None:
    async def run() -> None:
        async with Watchdog(ServiceManager(manager.environment)):
            for _ in range(2):
                heard = await asyncio.to_thread(manager.wait_for, "EXTEND_TIMEOUT_USEC=300000")
                assert FED not in heard

    asyncio.run(run())
