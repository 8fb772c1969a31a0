"""Pings of the configured hosts, each on its own thread, so that a dead host delays no other."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Self

from bus.config.settings import PingsConfig
from bus.contract.messages import Value
from bus.fault import Fault
from node_agent.schedule import next_due
from pizero_native.ping import NoAnswerError, PingNotAllowedError, needs_privilege, round_trip_ms

logger = logging.getLogger(__name__)

_JOIN_S = 2.0

Publish = Callable[[str, dict[str, Value]], None]


class Pings:
    """Publishes `ping-<name>` readings from entering to leaving its context."""

    def __init__(self, settings: PingsConfig, publish: Publish) -> None:
        self._settings = settings
        self._publish = publish
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        if not self._settings.hosts:
            return self
        try:
            privileged = needs_privilege()
        except PingNotAllowedError as e:
            logger.error("%s", e)  # noqa: TRY400 - the sentence says what to do, a traceback nothing
            return self
        for name, host in self._settings.hosts.items():
            thread = threading.Thread(
                target=self._run, args=(name, host, privileged), name=f"ping-{name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        deadline_s = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _run(self, name: str, host: str, privileged: bool) -> None:  # noqa: FBT001 - a thread's args
        start_s = time.monotonic()
        fault = Fault(f"ping-{name}")
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            try:
                self._ping(name, host, fault, privileged=privileged)
            except Exception:
                logger.exception("ping-%s: one ping failed", name)
            now_s = time.monotonic()
            wait_s = next_due(now_s, start_s, self._settings.interval_s) - now_s

    def _ping(self, name: str, host: str, fault: Fault, *, privileged: bool) -> None:
        data: dict[str, Value] = {"host": host, "up": False}
        try:
            rtt_ms = round_trip_ms(
                host, self._settings.timeout_s, self._stopping, privileged=privileged
            )
        except NoAnswerError as e:
            if self._stopping.is_set():
                return
            fault.failed(str(e))
        else:
            fault.worked()
            data |= {"up": True, "rtt_ms": round(rtt_ms, 3)}
        self._publish(f"ping-{name}", data)
