"""Hub, agent and Pi Zero service as processes on this machine, each link through a proxy."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import msgspec

from broker.auth import enrolment
from bus.clock import now_ms
from bus.config.broker_table import CREDENTIALS_NAME
from bus.config.hub_files import ACCOUNTS_NAME
from tests.chaos import rows
from tests.chaos.faults import AGENT, BROKER, HUB, SPOKES, ZERO
from tests.chaos.proxy import Proxy
from tests.chaos.truth import Measured, Row, Sort
from tests.chaos.unit import Record, Unit
from tests.support import HOST, PATIENT_S, PROJECT, free_port, mosquitto_for_hub, settings

HISTORY = "history.db"
OUTBOX = "outbox.db"
# The two BME680s answer each poll anew; a DHT22 must rest for 2 s, and is repeated meanwhile.
SORTS = {
    (AGENT, "dht22-gpio4"): Sort(repeats=True),
    (AGENT, "bme680-0x77"): Sort(stamped_first=True),
    (ZERO, "bme680-0x76"): Sort(),
}
_SAMPLE_S = 0.1


class Pace(msgspec.Struct, frozen=True):
    """How fast the system lives."""

    interval_s: float = 0.5
    restart_s: float = 0.5
    live_s: float = 2.0
    disk_after_s: float = 4.0
    disk_every_s: float = 2.0
    resend_s: float = 4.0
    commit_s: float = 0.5


class System:
    """Everything that runs, from entering to leaving the context, in `folder`."""

    def __init__(
        self,
        folder: Path,
        pace: Pace,
        *,
        external_broker: bool = False,
        hub_starts: bool = True,
        before_start: Callable[[], None] = lambda: None,
    ) -> None:
        """`hub_starts` False: the hub stays down until its unit is started."""
        self.folder = folder
        self._pace = pace
        self._external = external_broker
        self._hub_starts = hub_starts
        self._before_start = before_start
        self.broker_port = free_port()
        self.web_port = free_port()
        self.proxies = {node: Proxy(free_port(), self.broker_port) for node in SPOKES}
        self.units: dict[str, Unit] = {}
        self._records: dict[str, Record] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def history(self) -> Path:
        return self.folder / HUB / "state" / HISTORY

    def outboxes(self, node: str) -> tuple[Path, Path]:
        """Return the files of a node's outbox in RAM and on disk."""
        return self.folder / node / "run" / OUTBOX, self.folder / node / "state" / OUTBOX

    def measured(self) -> list[Measured]:
        return [m for node in SPOKES for m in rows.measured(node, self._records[node].path)]

    def stored(self) -> list[Row]:
        return rows.of_history(self.history)

    def waiting(self) -> list[Row]:
        """Return what is in the outboxes."""
        return [
            row
            for node in SPOKES
            for path in self.outboxes(node)
            for row in rows.of_outbox(node, path)
        ]

    def _start(self) -> None:
        for node in (HUB, *SPOKES):
            for part in ("state", "run"):
                (self.folder / node / part).mkdir(parents=True, exist_ok=True)
        self._before_start()
        for proxy in self.proxies.values():
            self._stack.enter_context(proxy)
        for node in SPOKES:
            self._enroll(node)
            record = Record(self.folder / node / "record.pipe", self.folder / f"{node}.jsonl")
            self._records[node] = self._stack.enter_context(record)
        if self._external:
            self._run(BROKER, self._mosquitto())
        hub = self._program("hub_app.cli", "hub.toml", HUB, self._of_hub())
        self._run(HUB, hub, starts=self._hub_starts)
        self._run(AGENT, self._agent())
        self._run(ZERO, self._zero())

    def _run(self, name: str, command: list[str], *, starts: bool = True) -> None:
        log = self.folder / f"{name}.log"
        unit = Unit(name, command, log, self._pace.restart_s, starts=starts)
        self.units[name] = self._stack.enter_context(unit)

    def _enroll(self, node: str) -> None:
        accounts = self.folder / HUB / "state" / ACCOUNTS_NAME
        enrolment.ensure(accounts, node, self.folder / node / CREDENTIALS_NAME)

    def _mosquitto(self) -> list[str]:
        hub = self._program("harvester.cli", "hub.toml", HUB, self._of_hub())
        return mosquitto_for_hub(hub[3:], self.folder / BROKER, free_port())

    def _of_hub(self) -> dict[str, object]:
        keys: dict[str, object] = {
            "broker__listen": HOST,
            "broker__port": self.broker_port,
            "web__listen": HOST,
            "web__port": self.web_port,
            "history__commit_s": self._pace.commit_s,
        }
        if self._external:
            keys["broker__url"] = f"mqtt://{HOST}:{self.broker_port}"
        return keys

    def _agent(self) -> list[str]:
        keys = {
            "plugins__enabled": '["dht22", "bme680", "pi4-monitor"]',
            "plugins__poll_deadline_s": PATIENT_S,
            **self._of_spoke(AGENT),
        }
        program = self._program("node_agent.cli", "spoke.toml", AGENT, keys)
        return [*program, "--role", "spoke", "--simulate"]

    def _zero(self) -> list[str]:
        keys = {
            "web__listen": HOST,
            "web__port": free_port(),
            "pings__hosts": f'{{here = "{HOST}"}}',
            "pings__interval_s": self._pace.interval_s,
            **self._of_spoke(ZERO),
        }
        return [*self._program("pizero_native.cli", "pizero.toml", ZERO, keys), "--simulate"]

    def _of_spoke(self, node: str) -> dict[str, object]:
        pace = self._pace
        return {
            "broker__url": f"mqtt://{HOST}:{self.proxies[node].port}",
            "broker__credentials_file": self.folder / node / CREDENTIALS_NAME,
            # The shortest that there is: a stalled link is noticed after 7.5 s.
            "broker__keepalive_s": 5,
            "polling__interval_seconds": pace.interval_s,
            "hardware__record_file": self.folder / node / "record.pipe",
            "outbox__live_s": pace.live_s,
            "outbox__disk_after_s": pace.disk_after_s,
            "outbox__disk_every_s": pace.disk_every_s,
            "outbox__resend_s": pace.resend_s,
        }

    def _program(
        self, module: str, config: str, node: str, keys: Mapping[str, object]
    ) -> list[str]:
        own = self.folder / node
        places = settings(
            storage__state_dir=own / "state",
            storage__runtime_dir=own / "run",
            storage__cache_dir=PROJECT / ".harvester" / "cache",
        )
        command = [sys.executable, "-m", module, "--config", str(PROJECT / "config" / config)]
        return [*command, *settings(**keys), *places]


class Watch:
    """Looks all the time when each node's newest reading in the history was taken."""

    def __init__(self, history: Path) -> None:
        self._history = history
        # When it was looked, and what was found, both in ms.
        self.seen: list[tuple[int, dict[str, int]]] = []
        self._changed = threading.Condition()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join()

    def wait(self, node: str, taken_after_ms: int, timeout_s: float) -> bool:
        """Wait for a reading of `node` that was taken later; return whether it came."""

        def has_come() -> bool:
            return bool(self.seen) and self.seen[-1][1].get(node, 0) > taken_after_ms

        with self._changed:
            return self._changed.wait_for(has_come, timeout_s)

    def came_at_ms(self, node: str, taken_after_ms: int) -> int | None:
        """Return when the first reading of `node` that was taken later was seen."""
        return next(
            (at_ms for at_ms, latest in self.seen if latest.get(node, 0) > taken_after_ms), None
        )

    def _look(self) -> None:
        while not self._leaving.wait(_SAMPLE_S):
            latest = rows.latest_ms(self._history)
            with self._changed:
                self.seen.append((now_ms(), latest))
                self._changed.notify_all()


@contextlib.contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[None]:
    """Give `folder` a file system of its own. Raises CalledProcessError where we may not."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0700", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
