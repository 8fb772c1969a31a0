"""The hub's core takes any message and any bytes, and answers every route afterwards."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from bus.client.client import BusClient
from bus.config.history_table import HistoryConfig
from bus.contract.messages import Reading, encode
from bus.contract.topics import TopicKind
from hub_app.history.inbox import Inbox
from hub_app.history.recorder import Recorder
from hub_app.http.app import create_app
from hub_app.hub import BrokerStatus, Hub
from hub_app.live.dashboard import Dashboard
from hub_app.process.supervisor import Supervisor
from hub_app.quota.refusals import Refusals
from tests.allowed_messages import any_message, any_topic, topic_of
from tests.hub_app.hub_process import open_plain
from tests.hub_app.samples import NOW_MS
from tests.support import HOST

Publication = tuple[str, bytes]

NODES = st.sampled_from(("pi4", "pi5"))
allowed = st.builds(lambda message, node: (topic_of(message, node), message), any_message(), NODES)
well_formed = allowed.map(lambda pair: (str(pair[0]), encode(pair[1])))
garbage = st.tuples(
    any_topic().map(str) | st.text(max_size=40), st.binary(max_size=60) | st.just(b"")
)
publications = st.lists(well_formed | garbage, max_size=25)


_UNAVAILABLE = {"/health", "/api/join-codes", "/api/updates", "/api/deliveries"}


class _Failures(logging.Handler):
    """Keeps what was logged with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.texts.append(self.format(record))


@contextlib.contextmanager
def no_failures() -> Iterator[None]:
    """Fail where the hub logs a failure and goes on."""
    failures, logger = _Failures(), logging.getLogger("hub_app")
    logger.addHandler(failures)
    try:
        yield
    finally:
        logger.removeHandler(failures)
    assert failures.texts == []


class Core:
    """A hub without a broker, on the history in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.inbox = Inbox()
        refusals, supervisor = Refusals(), Supervisor()
        self.history = Recorder(
            "revpi",
            directory / "history.db",
            HistoryConfig(commit_s=0.05),
            inbox=self.inbox,
            publish=len,
            now_ms=lambda: NOW_MS,
            refusals=refusals,
            supervisor=supervisor,
        )
        wasm = directory / "dashboard.wasm"
        wasm.touch()
        self.dashboard = Dashboard(lambda: wasm, open_plain)
        self.hub = Hub(
            (),
            bus=BusClient((HOST, 1), client_id="hub"),
            broker=BrokerStatus((HOST, 1)),
            history=self.history,
            dashboard=self.dashboard,
            refusals=refusals,
            supervisor=supervisor,
        )
        # With a browser, every change is encoded.
        self.hub.fanout.join()

    def take(self, published: Iterable[Publication]) -> None:
        with no_failures():
            for topic, payload in published:
                self.hub.decoder.handle(topic, payload)
            self.hub.decoder.flush()
            self.hub.sweep()

    def paths(self) -> Iterator[str]:
        """Yield a path for every route that answers GET, and for all that was stored."""
        for route in create_app(self.hub).routes:
            if (
                isinstance(route, Route)
                and "GET" in (route.methods or ())
                and route.path != "/events"
            ):
                yield route.path.replace("{node}", "pi4")
        for node in self.hub.state.nodes:
            yield f"/api/coverage?node={node}"
            yield f"/api/coverage?node={node}&from=0&to=600000000"
        for entry in self.hub.state.of_kind(TopicKind.READING):
            for form in ("json", "csv"):
                query = f"sensor={entry.node}:{entry.name}&from=0&to={2**53}&format={form}"
                for field in ("x", *entry.value.data):
                    yield f"/api/history?{query}&field={quote(field)}"


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Core]:
    core = Core(directory)
    core.history.start()
    try:
        yield core
    finally:
        core.history.stop()
        asyncio.run(core.dashboard.close())


async def get(core: Core, *paths: str) -> list[httpx.Response]:
    transport = httpx.ASGITransport(create_app(core.hub))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return [await client.get(path) for path in paths]


def check_routes(core: Core) -> None:
    for response in asyncio.run(get(core, *core.paths())):
        # Without a broker, the hub's health is degraded, and no machine can join or update.
        is_fine = response.status_code < 500 or response.url.path in _UNAVAILABLE
        assert is_fine, (response.url, response.text)


def check_tasks(core: Core) -> None:
    assert core.hub.supervisor.is_up
    assert core.history.statistics.fault == ""
    b"".join(core.hub.fanout.snapshot_parts(core.hub.state.snapshot(NOW_MS)))


@given(publications)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_message_stops_the_hub_now_or_after_a_restart(published: list[Publication]) -> None:
    with TemporaryDirectory() as name:
        for _ in range(2):
            # As after a restart: what is retained arrives again, on the history that was left.
            with running(Path(name)) as core:
                core.take(published)
                check_routes(core)
                check_tasks(core)


@given(st.lists(well_formed, min_size=1, max_size=3))
@settings(max_examples=5, deadline=None)
def test_a_message_of_every_type_is_taken(published: list[Publication]) -> None:
    with TemporaryDirectory() as name, running(Path(name)) as core:
        core.take(published)
        assert core.hub.decoder.undecodable == {}


def test_a_reading_at_every_bound_is_stored_and_shown(tmp_path: Path) -> None:
    data = {f"{'=' * 62}{n:02}": 2**53 * (-1) ** n for n in range(64)}
    reading = Reading("pi4", "room", 0, "s", 2**53, dict(data), clock="unset", boot_id="b")
    with running(tmp_path) as core:
        core.take([("harvester/pi4/readings/room", encode(reading))])
        core.history.stop()
        assert core.history.statistics.stored == 1
        check_routes(core)


@pytest.mark.parametrize("value", ["1" + "0" * 400, "1e400", "-1e400", "NaN", "1" * 5000])
def test_a_number_that_no_float_holds_takes_no_series_from_metrics(
    tmp_path: Path, value: str
) -> None:
    good = encode(Reading("pi5", "room", NOW_MS, "s", 1, {"x": 1.5}))
    bad = encode(Reading("pi4", "room", NOW_MS, "s", 1, {"x": 7})).replace(
        b":7", b":%s" % value.encode()
    )
    with running(tmp_path) as core:
        core.take([("harvester/pi4/readings/room", bad), ("harvester/pi5/readings/room", good)])
        (response,) = asyncio.run(get(core, "/metrics"))
        core.history.stop()
    text = response.text
    assert 'harvester_sensor_up{node="pi5",sensor="room"}' in text
    assert 'node="pi4",sensor' not in text
    assert core.hub.refusals.of("pi4") == {"malformed": 1}
