"""One connection of a person to the broker, with calls that wait for its answers.

Threads: paho's network thread puts what happens into a queue and sets events; the caller's thread
takes it out.
"""

import datetime as dt
import os
import queue
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from bus.client import certificate_dates
from bus.client.addresses import Address
from bus.client.connection import Connection, ConnectionConfig, Events
from bus.client.link import WireMessage
from bus.client.login import Login
from bus.errors import BadDataError, UnavailableError

_KEEPALIVE_S = 15
_ANSWER_S = 30.0
# Nobody subscribes to it: the broker's answer to its end tells that all before was sent.
_NO_TOPIC = "harvester-bus/none"
_LOG_IN = (
    "log in with --user NAME; on the hub, `harvester passwd NAME --role operator` makes an account"
)
_WRONG_LOGIN = "is it the right --user and password?"


class NoBrokerError(UnavailableError):
    """The broker does not answer, or is not trusted."""


class RefusedError(BadDataError):
    """The broker refuses the login, a subscription or a message."""


class BusSession:
    """A connection to the broker at the first of `addresses` that answers.

    `with` opens and closes it. Raises NoBrokerError and RefusedError. `answer_s` is the longest
    wait for an answer of the broker.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        login: Login | None,
        *,
        client_id: str = "",
        answer_s: float = _ANSWER_S,
    ) -> None:
        self._client_id = client_id or f"harvester-bus-{os.urandom(6).hex()}"
        self._answer_s = answer_s
        self._remedy = _WRONG_LOGIN if login is not None and login.username else _LOG_IN
        self._login = login
        self._addresses = addresses
        self._acknowledged: set[int] = set()
        self._changed = threading.Condition()
        self._prepare(addresses[0])

    def _prepare(self, address: Address) -> None:
        """Make a connection to `address` that is not open yet, and what it reports to."""
        self._address = address
        self._where = f"the broker at {address[0]}:{address[1]}"
        # None: the connection has ended.
        self._messages: queue.SimpleQueue[WireMessage | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._end = ""
        self._connection = Connection(
            ConnectionConfig(
                address=address,
                client_id=self._client_id,
                keepalive_s=_KEEPALIVE_S,
            ),
            self._login,
            Events(
                on_connect=lambda: self._answers.put(None),
                on_refused=lambda reason: self._answers.put(RefusedError(reason)),
                on_subscribed=self._answers.put,
                on_unsubscribed=lambda: self._answers.put(None),
                on_wire_message=self._messages.put,
                on_acknowledged=self._on_acknowledged,
                on_disconnect=self._on_disconnect,
            ),
        )

    def __enter__(self) -> Self:
        for address in self._addresses[1:]:
            try:
                self._open()
            except NoBrokerError:
                self._prepare(address)
            else:
                return self
        self._open()
        return self

    def _open(self) -> None:
        try:
            self._connection.open()
            self._wait_for_connack()
        except ssl.SSLError as e:
            self.close()
            reason = certificate_dates.explain(e, self._address, dt.datetime.now(dt.UTC))
            raise NoBrokerError(f"no trust in {self._where}: {reason}") from e
        except OSError as e:
            self.close()
            raise NoBrokerError(f"no answer from {self._where}: {e.strerror or e}") from e
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close(disconnect=True)

    def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe, and wait for the broker's answer."""
        self._connection.subscribe(filters)
        refused = self._answer()
        if isinstance(refused, list) and refused:
            raise RefusedError(
                f"{self._where} refused to subscribe to {', '.join(refused)}:"
                " this login may not read it"
            )

    def messages(self, until_s: float | None = None) -> Iterator[WireMessage]:
        """Yield messages as they come, until a time on the monotonic clock or for ever."""
        while (message := self._next(until_s)) is not None:
            yield message

    def retained(self) -> Iterator[WireMessage]:
        """Yield the retained messages of what was just subscribed to, until there are no more.

        MQTT does not tell their end. A broker answers in order, so one more request is answered
        behind all that could be sent before; where it brought no retained message, there are none.
        """
        while True:
            self._connection.unsubscribe(_NO_TOPIC)
            self._answer()
            found = [message for message in self._arrived() if message.retain]
            if not found:
                return
            yield from found

    def publish(self, messages: Sequence[WireMessage]) -> None:
        """Publish one after the other, and wait until the broker has acknowledged each."""
        for message in messages:
            number = self._connection.publish(message)
            if number is None or not self._is_acknowledged(number):
                raise NoBrokerError(
                    f"{self._where} did not acknowledge the message to {message.topic}:"
                    f" {self._end or 'no answer'}; it may refuse it by its access rules"
                )

    def _is_acknowledged(self, number: int) -> bool:
        """Wait until the broker acknowledges a message; return False where it never will."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._end or number in self._acknowledged, self._answer_s
            )
            return number in self._acknowledged

    def _arrived(self) -> Iterator[WireMessage]:
        """Yield the messages that have come already."""
        while not self._messages.empty():
            message = self._next(None)
            if message is not None:
                yield message

    def _next(self, until_s: float | None) -> WireMessage | None:
        """Return the next message, None where there is none until then."""
        timeout_s = None if until_s is None else until_s - time.monotonic()
        if timeout_s is not None and timeout_s <= 0:
            return None
        try:
            message = self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if message is None:
            raise NoBrokerError(f"{self._where} ended the connection: {self._end}")
        return message

    def _wait_for_connack(self) -> None:
        answer = self._answer()
        if isinstance(answer, RefusedError):
            raise RefusedError(f"{self._where} refused the connection: {answer}; {self._remedy}")

    def _answer(self) -> object:
        try:
            answer = self._answers.get(timeout=self._answer_s)
        except queue.Empty:
            reason = f"no answer from {self._where} within {self._answer_s:.0f} s"
            raise NoBrokerError(reason) from None
        if isinstance(answer, NoBrokerError):
            raise answer
        return answer

    # paho's network thread runs these.

    def _on_acknowledged(self, number: int) -> None:
        with self._changed:
            self._acknowledged.add(number)
            self._changed.notify_all()

    def _on_disconnect(self, reason: str) -> None:
        with self._changed:
            self._end = reason or "the connection ended"
            self._changed.notify_all()
        self._messages.put(None)
        self._answers.put(NoBrokerError(f"{self._where} ended the connection: {reason}"))
