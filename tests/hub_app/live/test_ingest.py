import asyncio
import logging
import threading

import pytest

from bus.contract.messages import Buzzer, Message, encode
from bus.contract.topics import Topic
from hub_app.live import ingest
from hub_app.live.ingest import Crossing, Decoder

BUZZER = "harvester/pi4/buzzer"


class Ears:
    """What a decoder passed on, and a clock that only the test moves."""

    def __init__(self) -> None:
        self.heard: list[tuple[Topic, Message]] = []
        self.now_s = 0.0
        self.decoder = Decoder(lambda *said: self.heard.append(said), lambda: self.now_s)


def test_messages_cross_from_a_thread_to_the_loop_in_order() -> None:
    async def cross() -> list[tuple[str, bytes, int]]:
        heard: list[tuple[str, bytes, int]] = []
        done = asyncio.Event()

        def receive(topic: str, payload: bytes) -> None:
            heard.append((topic, payload, threading.get_ident()))
            if len(heard) == 500:
                done.set()

        crossing = Crossing(asyncio.get_running_loop(), receive)
        await asyncio.to_thread(lambda: [crossing.put("t", b"%d" % i) for i in range(500)])
        await asyncio.wait_for(done.wait(), 5)
        return heard

    heard = asyncio.run(cross())
    assert [payload for _, payload, _ in heard] == [b"%d" % i for i in range(500)]
    assert {thread for *_, thread in heard} == {threading.get_ident()}


def test_a_loop_that_falls_far_behind_loses_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MAX_WAITING", 3)

    async def cross() -> tuple[list[bytes], int]:
        heard: list[bytes] = []
        crossing = Crossing(asyncio.get_running_loop(), lambda _, payload: heard.append(payload))
        for i in range(5):
            crossing.put("t", b"%d" % i)
        await asyncio.sleep(0)
        return heard, crossing.dropped

    assert asyncio.run(cross()) == ([b"2", b"3", b"4"], 2)


def test_a_message_is_decoded_and_passed_on() -> None:
    ears = Ears()
    ears.decoder.handle(BUZZER, encode(Buzzer(sounding=True, pattern="beep")))
    ((topic, message),) = ears.heard
    assert (str(topic), message) == (BUZZER, Buzzer(sounding=True, pattern="beep"))


def test_what_does_not_decode_is_counted_by_topic_and_dropped() -> None:
    ears = Ears()
    for topic, payload in ((BUZZER, b"\xff"), (BUZZER, b"{}"), ("harvester/pi4/nonsense", b"1")):
        ears.decoder.handle(topic, payload)
    assert ears.heard == []
    assert ears.decoder.undecodable == {BUZZER: 2, "harvester/pi4/nonsense": 1}


def test_a_bad_topic_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    ears = Ears()
    with caplog.at_level(logging.WARNING):
        for second in range(121):
            ears.now_s = float(second)
            ears.decoder.handle(BUZZER, b"nonsense")
    assert len(caplog.records) == 3
    assert "121 so far" in caplog.messages[-1]


def test_endless_bad_topics_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MAX_BAD_TOPICS", 2)
    ears = Ears()
    for i in range(5):
        ears.decoder.handle(f"harvester/x/{i}", b"")
    assert sum(ears.decoder.undecodable.values()) == 5
    assert len(ears.decoder.undecodable) == 3


def test_commands_pass_by_without_being_counted() -> None:
    ears = Ears()
    ears.decoder.handle("harvester/pi4/buzzer/cmd", b"beep")
    assert ears.heard == []
    assert ears.decoder.undecodable == {}
