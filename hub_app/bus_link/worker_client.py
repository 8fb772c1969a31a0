"""MQTT client of a worker, which notices another hub that answers the worker's nodes.

With another number of workers somewhere, or the same worker twice, nodes have two hubs, whose
histories then share or repeat their readings, and other nodes have none.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from bus.client.client import BusClient
from bus.client.connection import OnMessage
from bus.client.link import WireMessage
from bus.contract.topics import ROOT
from hub_app.bus_link.worker import Worker
from hub_app.history.inbox import node_of

logger = logging.getLogger(__name__)

_ROOT = f"{ROOT}/"
_STORED = "/stored"
# Own answers that have not come back; a broker may lose some.
_MOST_OUT = 20_000
# Answers of the time before a restart may come for a moment.
_SURE_S = 5.0
_OVER_S = 60.0


class ForeignAnswers:
    """Tells answers of other hubs from those that this worker sent. Any thread may call."""

    def __init__(self, worker: Worker, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._worker = worker
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        # How many of each answer are out.
        self._out: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._node = ""
        self._first_s = self._last_s = float("-inf")
        self._is_logged = False

    @property
    def problem(self) -> str:
        """The fault as a sentence; empty where no other hub answers."""
        now_s = self._monotonic_s()
        if now_s - self._last_s > _OVER_S or self._last_s - self._first_s < _SURE_S:
            return ""
        return (
            f"another hub answers {self._node}, which worker {self._worker.share} has: "
            "expected the same number in broker.share of all workers, and each worker once"
        )

    def sent(self, topic: str, payload: bytes) -> None:
        """Note an answer before it is sent."""
        with self._lock:
            self._out[topic, payload] = self._out.pop((topic, payload), 0) + 1
            if len(self._out) > _MOST_OUT:
                self._out.popitem(last=False)

    def received(self, topic: str, payload: bytes) -> None:
        """Note an answer to one of the worker's nodes."""
        with self._lock:
            count = self._out.pop((topic, payload), 0)
            if count > 1:
                self._out[topic, payload] = count - 1
        if not count:
            self._note_foreign(node_of(topic))

    def _note_foreign(self, node: str) -> None:
        now_s = self._monotonic_s()
        if now_s - self._last_s > _OVER_S:
            self._first_s, self._is_logged = now_s, False
        self._node, self._last_s = node, now_s
        if not self._is_logged and (problem := self.problem):
            self._is_logged = True
            logger.error("%s", problem)


class WorkerClient(BusClient):
    """Client that passes on what is of the worker's nodes, and all of other systems."""

    def __init__(self, *args: Any, worker: Worker, on_message: OnMessage, **keys: Any) -> None:
        self._answers = ForeignAnswers(worker)
        self._worker = worker
        self._take = on_message
        super().__init__(*args, on_message=self._take_own, **keys)

    @property
    def problem(self) -> str:
        return super().problem or self._answers.problem

    def publish_wire(self, message: WireMessage) -> int | None:
        if message.topic.endswith(_STORED):
            self._answers.sent(message.topic, message.payload)
        return super().publish_wire(message)

    def _take_own(self, topic: str, payload: bytes) -> None:
        """On the client's thread."""
        if topic.startswith(_ROOT):
            if not self._worker.holds_topic(topic):
                return
            if topic.endswith(_STORED):
                self._answers.received(topic, payload)
        self._take(topic, payload)
