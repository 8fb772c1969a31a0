"""Store: against a plain dict, a kill, a full disk and damaged files."""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from broker.embedded.store import write_throttle, writer
from broker.embedded.store.file import Batch, StoreFile
from broker.embedded.store.records import Contents, StoredMessage
from broker.embedded.store.store import FILE_NAME, Store
from broker.embedded.topics.grant import Grant
from broker.embedded.topics.retained import Retained
from broker.retained_source import RetainedSource
from bus.config.broker_table import BrokerConfig
from bus.errors import MisconfiguredError, UnavailableError
from tests.support import WAIT_S

MS_PER_DAY = 86_400_000


def message(message_id: int, payload: bytes = b"x", packet_id: int | None = None) -> StoredMessage:
    return StoredMessage(
        message_id=message_id,
        topic="a/b",
        payload=payload,
        qos=1,
        queued_ms=5,
        packet_id=packet_id,
    )


@contextlib.asynccontextmanager
async def running(
    directory: Path | None,
    settings: BrokerConfig | None = None,
    now_ms: int = 0,
    source: RetainedSource | None = None,
) -> AsyncIterator[tuple[Store, Contents]]:
    store = Store(directory, settings or BrokerConfig(), source)
    contents = store.load(now_ms)
    store.start()
    try:
        yield store, contents
    finally:
        await store.stop()


def loaded(directory: Path, now_ms: int = 0) -> Contents:
    async def load() -> Contents:
        async with running(directory, now_ms=now_ms) as (_, contents):
            return contents

    return asyncio.run(load())


class OtherFile:
    """A source of the topics that begin with `r/`."""

    def __init__(self, **values: bytes) -> None:
        self.values = values
        self.is_readable = True

    def keeps(self, topic: str) -> bool:
        return topic.startswith("r/")

    def load(self, topics: Collection[str]) -> dict[str, bytes]:
        if not self.is_readable:
            raise UnavailableError("the other file cannot be read")
        known = {f"r/{name}": value for name, value in self.values.items()}
        return {name: known[name] for name in topics if name in known}


def retained_with(
    directory: Path, source: OtherFile | None, *changes: Retained
) -> dict[str, bytes]:
    """Return what is retained at a start, and make changes then."""

    async def run() -> dict[str, bytes]:
        async with running(directory, source=source) as (store, contents):
            for change in changes:
                store.put_retained(change.topic, change if change.payload else None)
            return {message.topic: message.payload for message in contents.retained}

    return asyncio.run(run())


def rows_of_retained(directory: Path) -> dict[str, bytes]:
    with contextlib.closing(sqlite3.connect(directory / FILE_NAME)) as db:
        return dict(db.execute("SELECT topic, payload FROM retained"))


def test_what_another_file_keeps_is_only_named_and_comes_back_from_there(tmp_path: Path) -> None:
    changes = [Retained("r/a", b"%d" % n, 1, n) for n in range(50)]
    retained_with(tmp_path, OtherFile(), *changes, Retained("b", b"1", 1, 7))
    assert rows_of_retained(tmp_path) == {"r/a": b"", "b": b"1"}
    found = retained_with(tmp_path, OtherFile(a=b"49", other=b"never retained"))
    assert found == {"r/a": b"49", "b": b"1"}


def test_what_was_emptied_does_not_come_back_from_another_file(tmp_path: Path) -> None:
    retained_with(tmp_path, OtherFile(), Retained("r/a", b"1", 1, 7))
    retained_with(tmp_path, OtherFile(a=b"1"), Retained("r/a", b"", 1, 7))
    assert retained_with(tmp_path, OtherFile(a=b"1")) == {}


def test_a_name_is_forgotten_with_its_value_but_not_while_the_file_is_unreadable(
    tmp_path: Path,
) -> None:
    retained_with(tmp_path, OtherFile(), Retained("r/a", b"1", 1, 7))
    unreadable = OtherFile(a=b"1")
    unreadable.is_readable = False
    assert retained_with(tmp_path, unreadable) == {}
    assert retained_with(tmp_path, OtherFile(a=b"1")) == {"r/a": b"1"}
    assert retained_with(tmp_path, OtherFile()) == {}
    assert rows_of_retained(tmp_path) == {}


def test_the_values_of_an_earlier_version_are_replaced_by_those_of_the_other_file(
    tmp_path: Path,
) -> None:
    retained_with(tmp_path, None, Retained("r/a", b"old", 1, 7))
    assert retained_with(tmp_path, OtherFile(a=b"new")) == {"r/a": b"new"}
    assert rows_of_retained(tmp_path) == {"r/a": b""}


def test_everything_comes_back(tmp_path: Path) -> None:
    async def fill() -> None:
        async with running(tmp_path) as (store, contents):
            assert contents == Contents()
            store.put_retained("a", Retained("a", b"\x00\xff", 1, 7))
            assert store.put_session("node:pi4:pi4", "pi4", None)
            assert store.put_session("hub:hub:hub", "hub", 3)
            store.put_subscription("node:pi4:pi4", "a/#", Grant(1))
            first, second = store.new_message_id(), store.new_message_id()
            store.put_message("node:pi4:pi4", message(second))
            store.put_message("node:pi4:pi4", message(first, packet_id=9))

    asyncio.run(fill())
    found = loaded(tmp_path, now_ms=50)
    assert found.retained == [Retained("a", b"\x00\xff", 1, 7)]
    assert found.sessions["hub:hub:hub"].left_ms == 3
    here = found.sessions["node:pi4:pi4"]
    assert (here.client_id, here.left_ms, here.subscriptions) == ("pi4", 50, {"a/#": Grant(1)})
    assert here.messages == [message(1, packet_id=9), message(2)]


def test_rows_that_are_all_deleted_before_their_commit_do_not_end_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "INTERVAL_S", 0.01)

    async def fill() -> None:
        async with running(tmp_path) as (store, _):
            store.put_session("s", "c", None)
            await store.flush()
            for number in range(1, 20):
                store.put_message("s", message(number))
                # The writer's thread has its turn, and waits for more rows in vain.
                await asyncio.sleep(0.002)
                store.drop_message("s", number)
                await asyncio.sleep(0.02)
            kept = store.put_message("s", message(50), is_urgent=True)
            assert kept is not None
            assert await kept

    asyncio.run(fill())
    assert loaded(tmp_path).sessions["s"].messages == [message(50)]


def test_a_row_after_one_that_was_deleted_at_once_is_written(tmp_path: Path) -> None:
    async def fill() -> None:
        async with running(tmp_path) as (store, _):
            store.put_session("s", "c", None)
            await store.flush()
            for number in range(1, 20):
                # The writer's thread is woken and finds nothing.
                store.put_message("s", message(number))
                store.drop_message("s", number)
                await asyncio.sleep(0.02)
                kept = store.put_message("s", message(50 + number))
                assert kept is not None
                assert await asyncio.wait_for(kept, WAIT_S)

    asyncio.run(fill())
    assert len(loaded(tmp_path).sessions["s"].messages) == 19


def test_ids_go_on_growing_after_a_restart(tmp_path: Path) -> None:
    async def fill() -> int:
        async with running(tmp_path) as (store, _):
            store.put_session("s", "c", None)
            store.put_message("s", message(store.new_message_id()))
            return store.new_message_id()

    assert asyncio.run(fill()) == 2
    assert asyncio.run(fill()) == 3


def test_an_acknowledged_row_is_on_the_disk_and_a_dropped_one_need_not_be(tmp_path: Path) -> None:
    async def fill() -> None:
        async with running(tmp_path) as (store, _):
            store.put_session("s", "c", None)
            kept, gone = (store.put_message("s", message(n)) for n in (1, 2))
            assert kept is not None
            assert gone is not None
            assert not gone.done()
            store.drop_message("s", 2)
            assert gone.result()
            assert await kept
            assert store.pending == 0

    asyncio.run(fill())
    assert [m.message_id for m in loaded(tmp_path).sessions["s"].messages] == [1]


def test_a_cancelled_wait_cancels_nobody_elses(tmp_path: Path) -> None:
    async def put_twice() -> bool:
        async with running(tmp_path) as (store, _):
            first = store.put_retained("a", Retained("a", b"1", 0, 0))
            second = store.put_retained("a", Retained("a", b"2", 0, 0))
            flushing = asyncio.create_task(store.flush())
            first.cancel()
            await asyncio.sleep(0)
            flushing.cancel()
            return await second

    assert asyncio.run(put_twice())
    assert loaded(tmp_path).retained == [Retained("a", b"2", 0, 0)]


def test_many_rows_share_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    is_writing, may_write = threading.Event(), threading.Event()
    write = StoreFile.write

    def counting(file: StoreFile, batch: Batch) -> None:
        batches.append(len(batch))
        is_writing.set()
        may_write.wait()
        write(file, batch)

    monkeypatch.setattr(StoreFile, "write", counting)

    async def fill() -> None:
        async with running(tmp_path) as (store, _):
            store.put_retained("first", Retained("first", b"1", 0, 0))
            await asyncio.to_thread(is_writing.wait)
            for number in range(1_000):
                store.put_retained(f"a/{number % 100}", Retained("a", b"1", 0, number))
            may_write.set()
            assert await store.flush()

    asyncio.run(fill())
    assert batches == [1, 100]


def test_rows_that_cannot_be_written_are_dropped_and_the_next_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = StoreFile.write

    def failing(file: StoreFile, batch: Batch) -> None:
        if any("bad" in key for _, key in batch):
            raise ValueError("no such row")
        write(file, batch)

    monkeypatch.setattr(StoreFile, "write", failing)

    async def play() -> None:
        async with running(tmp_path) as (store, _):
            assert not await store.put_retained("bad", Retained("bad", b"1", 1, 1))
            assert await store.put_retained("good", Retained("good", b"1", 1, 1))
            assert store.failures == 1

    asyncio.run(play())
    assert [kept.topic for kept in loaded(tmp_path).retained] == ["good"]
    assert "no such row" in caplog.text


def test_without_a_directory_nothing_is_written() -> None:
    async def fill() -> bool:
        async with running(None) as (store, contents):
            assert contents == Contents()
            assert store.put_session("s", "c", None)
            waiting = store.put_message("s", message(1))
            assert waiting is not None
            return await waiting and await store.flush()

    assert asyncio.run(fill())


def test_a_session_without_room_is_refused_and_the_others_stay(tmp_path: Path) -> None:
    async def fill() -> None:
        async with running(tmp_path, BrokerConfig(sessions=1)) as (store, _):
            assert store.put_session("s", "c", None)
            assert not store.put_session("t", "d", None)
            assert store.put_session("s", "c", 5)
            assert store.put_message("t", message(1)) is None
            store.put_subscription("t", "a", Grant(1))
            assert store.sessions == 1

    asyncio.run(fill())
    assert list(loaded(tmp_path).sessions) == ["s"]


def test_messages_are_bounded_in_count_and_bytes() -> None:
    async def fill() -> None:
        async with running(None, BrokerConfig(queued_messages=2, in_flight=1, queued_mb=1)) as (
            store,
            _,
        ):
            for key in "st":
                store.put_session(key, "c", None)
            assert [store.put_message("s", message(n)) is None for n in range(4)] == [
                False,
                False,
                False,
                True,
            ]
            assert store.put_message("t", message(9, b"x" * 1024 * 1024)) is None
            # A change of one that is kept always goes.
            assert store.put_message("s", message(1, packet_id=3)) is not None
            assert store.messages == 3
            store.drop_session("s")
            assert (store.messages, store.size_bytes) == (0, 0)

    asyncio.run(fill())


def test_a_session_goes_when_its_client_stays_away(tmp_path: Path) -> None:
    async def fill() -> None:
        async with running(tmp_path, BrokerConfig(session_days=1)) as (store, _):
            store.put_session("gone", "c", 0)
            store.put_session("here", "d", None)
            store.put_message("gone", message(1))
            assert store.expired(MS_PER_DAY) == []
            assert store.expired(MS_PER_DAY + 1) == ["gone"]
            store.drop_session("gone")

    asyncio.run(fill())
    assert list(loaded(tmp_path).sessions) == ["here"]


def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "store" / FILE_NAME
    path.parent.mkdir()
    path.touch(0o644)

    async def fill() -> None:
        async with running(path.parent) as (store, _):
            store.put_retained("a", Retained("a", b"1", 0, 0))
            await store.flush()
            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
            assert modes == {0o600}

    asyncio.run(fill())


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    with contextlib.closing(sqlite3.connect(path)) as database:
        if how == "other columns":
            database.executescript("DROP TABLE retained; CREATE TABLE retained (x)")
        else:
            changed = {
                "truncated": content[:5_000],
                "overwritten": content[:4_096] + os.urandom(len(content) - 4_096),
                "no database": b"hello" * 1_000,
            }
            path.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["truncated", "overwritten", "no database", "other columns"])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fill() -> None:
        async with running(tmp_path) as (store, _):
            for number in range(500):
                store.put_retained(f"t/{number}", Retained(f"t/{number}", b"x" * 50, 1, 0))

    asyncio.run(fill())
    damage(tmp_path / FILE_NAME, how)
    assert loaded(tmp_path) == Contents()
    (line,) = caplog.messages
    assert f"{FILE_NAME} is damaged" in line
    assert f"{FILE_NAME}.damaged" in line
    assert (tmp_path / f"{FILE_NAME}.damaged").exists()
    asyncio.run(fill())
    assert len(loaded(tmp_path).retained) == 500


def test_a_folder_that_cannot_be_written_is_a_misconfiguration(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MisconfiguredError, match=FILE_NAME):
        Store(tmp_path / "file", BrokerConfig()).load(0)


def test_two_brokers_cannot_share_a_store(tmp_path: Path) -> None:
    async def twice() -> None:
        async with running(tmp_path):
            with pytest.raises(MisconfiguredError, match="another program uses it"):
                await asyncio.to_thread(Store(tmp_path, BrokerConfig()).load, 0)

    asyncio.run(twice())


def test_a_full_disk_is_ridden_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(writer, "RETRY_S", 0.02)

    async def fill() -> None:
        async with running(tmp_path) as (store, _):
            assert await store.put_retained("a", Retained("a", b"1", 0, 0))
            database = database_of(store)
            database.execute("PRAGMA max_page_count = 1")
            store.put_session("s", "c", None)
            refused = [store.put_message("s", message(n, b"x" * 9_000)) for n in range(1, 20)]
            assert [await future for future in refused if future] == [False] * 19
            await until(lambda: store.failures > 3)
            for number in range(1, 19):
                store.drop_message("s", number)
            # Whoever asks now need not wait, and what is gone again piles up nowhere.
            assert not await store.flush()
            for number in range(20, 3_000):
                late = store.put_message("s", message(number))
                assert late is not None
                if number == 20:
                    assert not await late
                if number % 300 == 0:
                    await until(failed_once_more(store))
                store.drop_message("s", number)
            await until(failed_once_more(store))
            assert store.pending <= 2
            database.execute("PRAGMA max_page_count = 100000")
            await until(lambda: store.pending == 0)
            assert await store.flush()

    asyncio.run(fill())
    found = loaded(tmp_path)
    assert [m.message_id for m in found.sessions["s"].messages] == [19]
    failures = [text for text in caplog.messages if "cannot be written" in text]
    assert len(failures) == 1
    assert any("is written again" in text for text in caplog.messages)


def database_of(store: Store) -> sqlite3.Connection:
    assert store._file is not None
    assert store._file._database is not None
    return store._file._database


def failed_once_more(store: Store) -> Callable[[], bool]:
    before = store.failures
    return lambda: store.failures > before


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - the writer thread tells nobody of its failures
            await asyncio.sleep(0.005)


# Says each number on its output once the store has called it durable.
CHILD = """
import asyncio, sys
from pathlib import Path
from bus.config.broker_table import BrokerConfig
from broker.embedded.topics.grant import Grant
from broker.embedded.topics.retained import Retained
from broker.embedded.store.records import StoredMessage
from broker.embedded.store.store import Store

async def main():
    store = Store(Path(sys.argv[1]), BrokerConfig(queued_messages=1_000_000))
    store.load(0)
    store.start()
    store.put_session("s", "c", None)
    store.put_subscription("s", "a/#", Grant(1))
    for number in range(1, 1_000_000):
        store.put_retained(f"t/{number}", Retained(f"t/{number}", b"%d" % number, 1, 0))
        done = store.put_message("s", StoredMessage(
            message_id=number, topic="a/b", payload=b"x" * 1000, qos=1, queued_ms=0))
        if number % 20 == 0:
            assert await done
            print(number, flush=True)

asyncio.run(main())
"""


def test_what_was_called_durable_survives_a_kill(tmp_path: Path) -> None:
    for lines in (3, 8):
        command = [sys.executable, "-c", CHILD, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            said = [int(line) for line in itertools.islice(child.stdout, lines)]
            child.send_signal(signal.SIGKILL)
            said += [int(line) for line in child.stdout]
        found = loaded(tmp_path)
        kept = found.sessions["s"]
        assert kept.subscriptions == {"a/#": Grant(1)}
        # The same ids are written again in the second round, so they begin at 1 in both.
        ids = [m.message_id for m in kept.messages]
        assert ids[: said[-1]] == list(range(1, said[-1] + 1))
        retained = {m.topic: m.payload for m in found.retained}
        expected = range(1, said[-1] + 1)
        assert all(retained[f"t/{number}"] == b"%d" % number for number in expected)


KEYS = st.sampled_from(["s", "t", "u"])
TOPICS = st.sampled_from(["a", "b", "c/d"])
PAYLOADS = st.binary(max_size=3)


def _qos(subscriptions: dict[str, Grant]) -> dict[str, int]:
    return {text: grant.qos for text, grant in subscriptions.items()}


class StoreMachine(RuleBasedStateMachine):
    """Any order of what the broker may say, with restarts, leaves what a dict would hold."""

    @initialize()
    def begin(self) -> None:
        self.stack = contextlib.ExitStack()
        self.directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.retained: dict[str, bytes] = {}
        self.sessions: dict[str, tuple[int | None, dict[str, int], dict[int, bytes]]] = {}
        self.open()

    def open(self) -> None:
        async def start() -> tuple[Store, Contents]:
            store = Store(self.directory, BrokerConfig(sessions=2))
            contents = store.load(99)
            store.start()
            return store, contents

        self.store, self.contents = self.runner.run(start())

    @rule(topic=TOPICS, payload=PAYLOADS | st.none())
    def retain(self, topic: str, payload: bytes | None) -> None:
        made = None if payload is None else Retained(topic, payload, 1, 0)
        self.store.put_retained(topic, made)
        self.retained.pop(topic, None)
        if payload is not None:
            self.retained[topic] = payload

    @rule(key=KEYS, left_ms=st.none() | st.integers(0, 9))
    def come_or_leave(self, key: str, left_ms: int | None) -> None:
        fits = key in self.sessions or len(self.sessions) < 2
        assert self.store.put_session(key, key.upper(), left_ms) is fits
        if fits:
            _, filters, messages = self.sessions.get(key, (None, {}, {}))
            self.sessions[key] = (left_ms, filters, messages)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.store.drop_session(key)
        self.sessions.pop(key, None)

    @rule(key=KEYS, topic=TOPICS, qos=st.integers(0, 1), on=st.booleans())
    def subscribe(self, key: str, topic: str, qos: int, on: bool) -> None:
        if on:
            self.store.put_subscription(key, topic, Grant(qos))
        else:
            self.store.drop_subscription(key, topic)
        if key in self.sessions:
            self.sessions[key][1].pop(topic, None)
            if on:
                self.sessions[key][1][topic] = qos

    @rule(key=KEYS, payload=PAYLOADS)
    def queue(self, key: str, payload: bytes) -> None:
        number = self.store.new_message_id()
        self.store.put_message(key, message(number, payload))
        if key in self.sessions:
            self.sessions[key][2][number] = payload

    @rule(key=KEYS, which=st.integers(0, 3))
    def acknowledge(self, key: str, which: int) -> None:
        waiting = self.sessions.get(key, (None, {}, {}))[2]
        number = list(waiting)[which] if which < len(waiting) else -1
        self.store.drop_message(key, number)
        waiting.pop(number, None)

    @rule()
    def flush(self) -> None:
        assert self.runner.run(self.store.flush())

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.stop())
        self.open()
        assert {m.topic: m.payload for m in self.contents.retained} == self.retained
        found = {
            key: (s.left_ms, _qos(s.subscriptions), {m.message_id: m.payload for m in s.messages})
            for key, s in self.contents.sessions.items()
        }
        for key, (left_ms, filters, messages) in self.sessions.items():
            self.sessions[key] = (99 if left_ms is None else left_ms, filters, messages)
        assert found == self.sessions

    @invariant()
    def the_counts_are_right(self) -> None:
        assert self.store.sessions == len(self.sessions)
        assert self.store.messages == sum(len(s[2]) for s in self.sessions.values())

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            with self.stack:
                self.restart()
                self.runner.run(self.store.stop())


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "INTERVAL_S", 0.005)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = hypothesis_settings(
    max_examples=30, stateful_step_count=25, deadline=None
)


def test_what_changes_all_the_time_is_written_now_and_then(tmp_path: Path) -> None:
    def value(number: int) -> Retained:
        return Retained("a/b", str(number).encode(), 1, 5)

    async def change() -> None:
        async with running(tmp_path) as (store, _):
            for number in range(write_throttle.BURST + 100):
                assert await store.put_retained("a/b", value(number))
            assert store.pending == 1
            store.write_delayed(time.monotonic())
            assert store.pending == 1
            store.write_delayed(time.monotonic() + write_throttle.INTERVAL_S)
            assert await store.flush()
            assert store.pending == 0

    asyncio.run(change())
    assert loaded(tmp_path).retained == [value(write_throttle.BURST + 99)]


def test_a_topic_that_rests_may_change_at_once_again() -> None:
    throttle = write_throttle.write_throttle(topics=2)
    waits = [throttle.take("a", 0.0) for _ in range(write_throttle.BURST + 1)]
    assert waits == [0.0] * write_throttle.BURST + [write_throttle.REFILL_S]
    assert not throttle.take("b", 0.0)
    assert not throttle.take("a", write_throttle.REFILL_S)
    assert throttle.take("a", write_throttle.REFILL_S)
    assert not throttle.take("a", write_throttle.REFILL_S * (write_throttle.BURST + 1))
