"""Notifier: queues, retries, and services that fail or do not answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from hub_app.alarms.addresses import Address, NotSentError
from hub_app.alarms.notices import Notice
from hub_app.alarms.notifier import MAX_QUEUED, Notifier
from tests.support import WAIT_S, wait_until

NOTICE = Notice("title", "body", "warning", ("pi4", "too-warm"), 1)


class Service:
    """A service that fails while it is told to."""

    def __init__(self, name: str = "first", *, fails: bool = False) -> None:
        self.fails = fails
        self.attempts = 0
        self.taken: list[Notice] = []
        self.address = Address(name, self._send)

    def _send(self, notice: Notice) -> None:
        self.attempts += 1
        if self.fails:
            raise NotSentError("no route to it")
        self.taken.append(notice)


@contextmanager
def running(*services: Service) -> Iterator[Notifier]:
    notifier = Notifier([service.address for service in services], first_retry_s=0.01)
    notifier.start()
    try:
        yield notifier
    finally:
        notifier.stop()


def numbered(count: int) -> list[Notice]:
    return [msgspec.structs.replace(NOTICE, title=str(i)) for i in range(count)]


def test_a_notice_goes_to_every_address_and_is_confirmed() -> None:
    first, second = Service(), Service("second")
    sent: list[Notice] = []
    with running(first, second) as notifier:
        notifier.on_sent = sent.append
        notifier.put(NOTICE)
        wait_until(lambda: len(sent) == 2)
    assert first.taken == second.taken == [NOTICE]


def test_a_failing_service_is_tried_again_and_delays_no_other() -> None:
    failing, working = Service(fails=True), Service("second")
    with running(failing, working) as notifier:
        for notice in numbered(3):
            notifier.put(notice)
        wait_until(lambda: len(working.taken) == 3 and failing.attempts >= 3)
        failed, worked = notifier.statuses
        assert (failed.sent, failed.waiting, failed.fault) == (0, 3, "no route to it")
        assert (worked.sent, worked.waiting, worked.fault) == (3, 0, "")
        failing.fails = False
        wait_until(lambda: len(failing.taken) == 3)
        wait_until(lambda: not notifier.statuses[0].fault)
    assert [notice.title for notice in failing.taken] == ["0", "1", "2"]


def test_of_too_many_notices_the_oldest_are_dropped_and_counted() -> None:
    failing = Service(fails=True)
    with running(failing) as notifier:
        for notice in numbered(MAX_QUEUED + 5):
            notifier.put(notice)
        (status,) = notifier.statuses
        assert (status.waiting, status.dropped) == (MAX_QUEUED, 5)
        failing.fails = False
        wait_until(lambda: len(failing.taken) == MAX_QUEUED)
    assert failing.taken[-1].title == str(MAX_QUEUED + 4)


def test_a_service_that_does_not_answer_keeps_nobody_waiting() -> None:
    entered, answer = threading.Event(), threading.Event()

    def hang(_notice: Notice) -> None:
        entered.set()
        answer.wait()

    notifier = Notifier([Address("hanging", hang)])
    notifier.start()
    notifier.put(NOTICE)
    assert entered.wait(WAIT_S)
    notifier.put(NOTICE)
    notifier.stop()
    assert notifier.statuses[0].waiting == 2
    answer.set()
