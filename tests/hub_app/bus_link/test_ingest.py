"""The queue on the event loop, and strict decoding."""

import asyncio
import logging

import pytest

from bus.contract.messages import Backlog, Buzzer, Message, encode
from bus.contract.topics import Topic
from hub_app.bus_link.ingest import LOG_LINES_PER_MINUTE, Decoder, LoopQueue, ingest
from hub_app.history.inbox import Payload
from tests.hub_app.history.samples import reading
from tests.support import WAIT_S

BUZZER = "harvester/pi4/buzzer"


class Receiver:
    """A decoder, what it passed on, and a clock that the test sets."""

    def __init__(self) -> None:
        self.received: list[tuple[Topic, Message]] = []
        self.now_s = 0.0
        self.has_place = True
        self.decoder = Decoder(self.receive, lambda: self.now_s)

    def receive(self, topic: Topic, message: Message) -> bool:
        self.received.append((topic, message))
        return self.has_place


def test_messages_are_taken_in_slices_and_in_order() -> None:
    async def cross() -> list[list[bytes]]:
        queue = LoopQueue()
        queue.put_many([("t", b"%d" % i) for i in range(250)])
        return [[payload for _, payload in await queue.take()] for _ in range(3)]

    slices = asyncio.run(cross())
    assert [len(each) for each in slices] == [100, 100, 50]
    assert [payload for each in slices for payload in each] == [b"%d" % i for i in range(250)]


def test_a_loop_that_falls_far_behind_loses_the_oldest() -> None:
    async def cross() -> tuple[list[bytes], int]:
        queue = LoopQueue(most=3)
        for i in range(5):
            queue.put("t", b"%d" % i)
        return [payload for _, payload in await queue.take()], queue.dropped

    assert asyncio.run(cross()) == ([b"2", b"3", b"4"], 2)


def test_a_message_is_decoded_and_passed_on() -> None:
    receiver = Receiver()
    receiver.decoder.handle(BUZZER, encode(Buzzer(sounding=True, pattern="beep")))
    ((topic, message),) = receiver.received
    assert (str(topic), message) == (BUZZER, Buzzer(sounding=True, pattern="beep"))


def test_what_does_not_decode_is_counted_by_topic_and_dropped() -> None:
    receiver = Receiver()
    for topic, payload in ((BUZZER, b"\xff"), (BUZZER, b"{}"), ("harvester/pi4/nonsense", b"1")):
        receiver.decoder.handle(topic, payload)
    assert receiver.received == []
    assert receiver.decoder.undecodable == {BUZZER: 2, "harvester/pi4/nonsense": 1}


def test_the_counts_of_a_node_that_is_gone_are_forgotten() -> None:
    receiver = Receiver()
    for topic in (BUZZER, "harvester/pi4/nonsense", "harvester/pi5/nonsense"):
        receiver.decoder.handle(topic, b"x")
    receiver.decoder.forget("pi4")
    assert receiver.decoder.undecodable == {"harvester/pi5/nonsense": 1}


def test_the_history_gets_each_message_as_it_was_decoded() -> None:
    recorded: list[Payload] = []
    receiver = Receiver()
    decoder = Decoder(receiver.receive, lambda: 0.0, record=recorded.extend)
    good, room = reading(1), "harvester/pi4/readings/room"
    backlog = ("harvester/pi4/backlog", encode(Backlog([reading(0)])))
    for topic, payload in ((room, encode(good)), (room, b"{}"), backlog, (BUZZER, b"{}")):
        decoder.handle(topic, payload)
    assert recorded == []
    decoder.flush()
    # A bad reading and a backlog are decoded by the history, which answers their nodes.
    assert recorded == [(room, encode(good), good), (room, b"{}", None), (*backlog, Backlog([]))]
    assert recorded[0][2] is receiver.received[0][1]
    decoder.flush()
    assert len(recorded) == 3


def test_a_message_without_a_place_is_not_recorded_and_one_that_fails_is() -> None:
    recorded: list[Payload] = []
    receiver = Receiver()
    decoder = Decoder(receiver.receive, lambda: 0.0, record=recorded.extend)
    receiver.has_place = False
    room = "harvester/pi4/readings/room"
    decoder.handle(room, encode(reading(1)))
    decoder.handle("harvester/pi4/backlog", encode(Backlog([reading(0)])))

    def fail(_topic: Topic, _message: Message) -> bool:
        raise ZeroDivisionError

    failing = Decoder(fail, lambda: 0.0, record=recorded.extend)
    with pytest.raises(ZeroDivisionError):
        failing.handle(room, encode(reading(2)))
    for each in (decoder, failing):
        each.flush()
    assert [message for *_, message in recorded] == [reading(2)]


def test_a_bad_topic_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    with caplog.at_level(logging.WARNING):
        for second in range(121):
            receiver.now_s = float(second)
            receiver.decoder.handle(BUZZER, b"nonsense")
    logged = [text for text in caplog.messages if text.startswith("dropped a message")]
    assert len(logged) == 3
    assert "121 so far" in logged[-1]


def test_many_bad_topics_of_a_node_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    for number in range(200):
        receiver.decoder.handle(f"harvester/pi4/readings/s{number}", b"x")
    receiver.decoder.handle("harvester/pi5/readings/s", b"x")
    assert len(caplog.records) == LOG_LINES_PER_MINUTE + 1
    receiver.now_s = 60.0
    receiver.decoder.handle("harvester/pi4/readings/s199", b"x")
    assert len(caplog.records) == LOG_LINES_PER_MINUTE + 2
    assert len(receiver.decoder.undecodable) == 201


def test_endless_bad_topics_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_app.bus_link.ingest.MAX_BAD_TOPICS", 2)
    receiver = Receiver()
    for i in range(5):
        receiver.decoder.handle(f"harvester/x/{i}", b"")
    assert sum(receiver.decoder.undecodable.values()) == 5
    assert len(receiver.decoder.undecodable) == 3


def test_commands_pass_by_without_being_counted() -> None:
    receiver = Receiver()
    receiver.decoder.handle("harvester/pi4/buzzer/cmd", b"beep")
    assert receiver.received == []
    assert receiver.decoder.undecodable == {}


def test_a_message_that_the_hub_fails_at_does_not_end_the_ingest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> bytes:
        queue = LoopQueue()
        handled: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def handle(_topic: str, payload: bytes) -> None:
            if payload == b"bad":
                raise ValueError("a fault of the hub")
            handled.set_result(payload)

        task = asyncio.create_task(ingest(queue, handle, lambda: None))
        queue.put("t", b"bad")
        queue.put("t", b"good")
        received = await asyncio.wait_for(handled, WAIT_S)
        task.cancel()
        return received

    assert asyncio.run(run()) == b"good"
    assert "the hub failed at a message on t" in caplog.text
