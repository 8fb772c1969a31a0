"""Fan-out of changes to browsers."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from bus.contract.messages import Log
from bus.contract.topics import TopicKind
from hub_app.live import fanout
from hub_app.live.change import Change
from hub_app.live.fanout import Client, Fanout, TooManyClientsError
from hub_app.live.state import Snapshot
from tests.hub_app.samples import NOW_MS, log
from tests.support import WAIT_S


def change(topic: str, value: object, kind: TopicKind = TopicKind.READING) -> Change:
    return Change(topic, kind, "pi4", "", value)


def events(chunk: bytes) -> Iterator[tuple[int, str, dict[str, object]]]:
    for block in chunk.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        yield int(fields["id"]), fields["event"], msgspec.json.decode(fields["data"])


def taken(client: Client) -> list[tuple[int, object]]:
    chunk = asyncio.run(asyncio.wait_for(client.take(), WAIT_S))
    return [(number, data["value"]) for number, _, data in events(chunk)]


def test_every_change_reaches_every_browser_under_one_number() -> None:
    fan = Fanout()
    clients = [fan.join(), fan.join()]
    fan.send([change("a", 1), change("b", 2)], NOW_MS)
    assert [taken(client) for client in clients] == [[(1, 1), (2, 2)]] * 2


def test_an_event_is_encoded_once_for_all_browsers(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    monkeypatch.setattr(fanout, "_event", lambda *parts: encoded.append(parts) or b"x")
    fan = Fanout()
    for _ in range(10):
        fan.join()
    fan.send([change("a", 1)], NOW_MS)
    assert len(encoded) == 1


def test_an_event_is_queued_once_for_all_browsers_of_a_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queued = []
    add = fanout._Batch.add

    def counting(batch: fanout._Batch, one: Change, event: bytes) -> None:
        queued.append(event)
        add(batch, one, event)

    monkeypatch.setattr(fanout._Batch, "add", counting)
    fan = Fanout()
    clients = [fan.join() for _ in range(10)]
    fan.send([change("a", 1), change("b", 2)], NOW_MS)
    assert len(queued) == 2
    assert [len(taken(client)) for client in clients] == [2] * 10


def test_browsers_of_a_view_get_every_event_at_their_own_pace() -> None:
    async def take(client: Client) -> list[tuple[int, object]]:
        chunk = await asyncio.wait_for(client.take(), WAIT_S)
        return [(number, data["value"]) for number, _, data in events(chunk)]

    async def run() -> None:
        fan = Fanout()
        fast, slow = fan.join(), fan.join()
        got: list[object] = []
        for i in range(100):
            fan.send([change("a", i), change(f"b{i % 3}", i)], NOW_MS)
            got += [value for _, value in await take(fast)]
        assert got == [i for i in range(100) for _ in range(2)]
        # Older events of a topic are left out where many wait, and the newest is last.
        events_of_slow = await take(slow)
        assert events_of_slow == sorted(events_of_slow)
        assert {value for _, value in events_of_slow} >= {97, 98, 99}
        assert len(events_of_slow) < 60
        fan.send([change("a", 100)], NOW_MS)
        assert [await take(client) for client in (fast, slow)] == [[(201, 100)]] * 2

    asyncio.run(run())


def test_a_browser_that_joins_gets_nothing_from_before() -> None:
    fan = Fanout()
    first = fan.join()
    fan.send([change("l", log("one"), TopicKind.LOG)], NOW_MS)
    second = fan.join()
    fan.send([change("l", log("two"), TopicKind.LOG)], NOW_MS)
    assert [len(taken(client)) for client in (first, second)] == [2, 1]


def test_a_browser_gets_only_what_its_view_shows() -> None:
    fan = Fanout()
    one, all_of_it = fan.join(lambda change: change.topic == "a"), fan.join()
    fan.send([change("a", 1), change("b", 2)], NOW_MS)
    assert (taken(one), len(taken(all_of_it))) == ([(1, 1)], 2)
    snapshot = Snapshot(NOW_MS, [change("a", 1), change("b", 2)], [change("l", "x", TopicKind.LOG)])
    (event,) = events(b"".join(fan.snapshot_parts(snapshot, one.shows)))
    assert [entry["topic"] for entry in event[2]["entries"]] == ["a"]  # type: ignore[attr-defined]
    assert event[2]["logs"] == []


def test_what_no_view_shows_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    monkeypatch.setattr(fanout, "_event", lambda *parts: encoded.append(parts) or b"x")
    fan = Fanout()
    fan.join(lambda _change: False)
    fan.send([change("a", 1)], NOW_MS)
    assert encoded == []


def test_events_that_follow_each_other_closely_are_sent_together() -> None:
    async def run() -> list[list[object]]:
        fan = Fanout()
        client = fan.join()
        chunks: list[list[object]] = []
        has_last = asyncio.Event()

        async def take() -> None:
            while chunk := await client.take():
                chunks.append([data["value"] for _, _, data in events(chunk)])
                if chunks[-1][-1] == 99:
                    has_last.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(take())
            for i in range(100):
                fan.send([change(str(i), i)], NOW_MS)
                await asyncio.sleep(0)
            await has_last.wait()
            fan.close()
        return chunks

    chunks = asyncio.run(asyncio.wait_for(run(), WAIT_S))
    assert [value for chunk in chunks for value in chunk] == list(range(100))
    assert chunks[0] == [0]
    assert len(chunks) < 100


def test_all_browsers_of_a_view_get_what_was_gathered_at_one_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = []
    release = fanout._View._release

    def counting(view: fanout._View) -> None:
        released.append(view)
        release(view)

    monkeypatch.setattr(fanout._View, "_release", counting)

    async def run() -> list[list[bytes]]:
        fan = Fanout()
        clients = [fan.join() for _ in range(10)]
        chunks = []
        for value in range(2):
            waiting = [asyncio.ensure_future(client.take()) for client in clients]
            await asyncio.sleep(0)
            fan.send([change("a", value), change("b", value)], NOW_MS)
            chunks.append(await asyncio.gather(*waiting))
        return chunks

    first, second = asyncio.run(asyncio.wait_for(run(), WAIT_S))
    assert [len(set(first)), len(set(second)), len(released)] == [1, 1, 2]


def test_a_slow_browser_gets_the_newest_value_of_each_topic() -> None:
    fan = Fanout()
    client = fan.join()
    for i in range(10_000):
        fan.send([change("a", i), change("b", -i)], NOW_MS)
    assert [value for _, value in taken(client)] == [9999, -9999]


def test_the_last_event_sent_is_the_newest() -> None:
    fan = Fanout()
    client = fan.join()
    fan.send([change("a", 1), change("b", 2), change("a", 3)], NOW_MS)
    assert taken(client) == [(2, 2), (3, 3)]


def test_a_slow_browser_gets_the_tail_of_the_log() -> None:
    fan = Fanout()
    client = fan.join()
    for i in range(fanout.LINES_PER_CLIENT + 50):
        fan.send([change("l", log(str(i)), TopicKind.LOG)], NOW_MS)
    lines = [msgspec.convert(value, Log).message for _, value in taken(client)]
    assert (len(lines), lines[0], lines[-1]) == (fanout.LINES_PER_CLIENT, "50", "249")


def test_every_event_of_a_sensor_reaches_a_slow_browser() -> None:
    fan = Fanout()
    client = fan.join()
    fan.send([change("e", i, TopicKind.EVENT) for i in range(3)], NOW_MS)
    assert [value for _, value in taken(client)] == [0, 1, 2]


def test_a_snapshot_carries_the_number_of_the_last_change() -> None:
    fan = Fanout()
    fan.send([change("a", 1)], NOW_MS)
    (event,) = events(b"".join(fan.snapshot_parts(Snapshot(NOW_MS, [change("a", 1)], []))))
    assert event[:2] == (1, "snapshot")


def test_a_large_snapshot_is_made_in_parts_that_are_one_event() -> None:
    fan = Fanout()
    for entries, logs in ((0, 0), (1, 0), (0, 1), (1300, 700), (500, 500)):
        snapshot = Snapshot(
            NOW_MS,
            [change("a", n) for n in range(entries)],
            [change("b", n) for n in range(logs)],
        )
        parts = list(fan.snapshot_parts(snapshot, lambda one: one.value % 7 > 2))
        assert len(parts) == max(1, (entries + 499) // 500) + max(1, (logs + 499) // 500) - 1
        (event,) = events(b"".join(parts))
        shown = Snapshot(
            NOW_MS,
            [one for one in snapshot.entries if one.value % 7 > 2],
            [one for one in snapshot.logs if one.value % 7 > 2],
        )
        assert event[2] == msgspec.json.decode(msgspec.json.encode(shown))


def test_many_events_are_gathered_for_longer_than_few() -> None:
    async def gathered(count: int) -> float:
        fan = Fanout()
        client = fan.join()
        fan.send([change(f"{n}", n) for n in range(count)], NOW_MS)
        await client.take()
        return client.view.gather_s

    assert asyncio.run(gathered(1)) == fanout.GATHER_S
    assert asyncio.run(gathered(3)) == 3 * fanout.GATHER_S
    assert asyncio.run(gathered(1_000)) == fanout.GATHER_MOST_S


def test_closing_ends_every_stream_now_and_later() -> None:
    fan = Fanout()
    client = fan.join()
    fan.send([change("a", 1)], NOW_MS)
    fan.close()
    assert taken(client) == taken(fan.join()) == []


def test_a_browser_that_left_costs_nothing() -> None:
    fan = Fanout()
    client = fan.join()
    fan.leave(client)
    fan.leave(client)
    assert len(fan) == 0


def test_more_browsers_than_the_bound_are_refused() -> None:
    fan = Fanout()
    for _ in range(fanout.MAX_CLIENTS):
        fan.join()
    with pytest.raises(TooManyClientsError):
        fan.join()


def test_line_breaks_in_a_value_stay_inside_one_event() -> None:
    fan = Fanout()
    client = fan.join()
    fan.send([change("l", log("one\n\nevent: x\rtwo"), TopicKind.LOG)], NOW_MS)
    ((_, value),) = taken(client)
    assert msgspec.convert(value, Log).message == "one\n\nevent: x\rtwo"


def test_a_browser_that_leaves_twice_takes_nothing_from_the_one_in_its_place() -> None:
    fan = Fanout()
    first = fan.join()
    fan.leave(first)
    second = fan.join()
    # As a stream does that was closed for another one, when its task ends.
    fan.leave(first)
    fan.send([change("a", 1)], NOW_MS)
    assert taken(second) == [(1, 1)]
