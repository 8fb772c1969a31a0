"""Simulated faults of every device of the Pi 4 in real agents, as listed in docs/faults.md.

Each fault of a device has a node of its own, and all nodes run at once. The faults begin when every
device has worked.
"""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from bus.contract.messages import Leds, Log, Oled, PluginState, Reading
from node_agent.sandbox.instance import Limits
from node_agent.sandbox.runtime import Runtime
from tests.built_components import CACHE, packed
from tests.support import (
    HOST,
    PATIENT_S,
    PROJECT,
    Listener,
    Said,
    Service,
    embedded_broker,
    free_port,
    settings,
)
from tests.triggered.clock import JUMP_S, TRIGGER

START_S = 120.0
FROM_S, UNTIL_S = JUMP_S, JUMP_S + 12
# A thread of a loaded machine may have no turn for 2 s; a second is rounding.
STARVED_S = 3
MAGENTA = "#ff00ff"
PLUGINS = {"dht22-gpio4": "dht22", "bme680-0x77": "bme680", "ssd1306-0x3c": "oled"}
LEDS = {"dht22-gpio4": 1, "bme680-0x77": 2}
# Also the word of a plugin that this machine gave no processor in the midst of a poll.
TOO_SLOW = "the bus is too slow"
# The room gets warmer all the time, so that a constant value is an error.
KEYFRAMES = f"[[0, 16.0], [300, 76.0], [{JUMP_S}, 16.0], [{JUMP_S + 60}, 28.0]]"
SCENARIO = f"""
[room]
temperature_c = {{keyframes = {KEYFRAMES}}}

[air]
temperature_c = {{keyframes = {KEYFRAMES}}}
"""

# A BME680 that never says that its gas is valid or its heater stable (gas_r_lsb is 0).
NO_GAS = """
[[register_images]]
device = "bme680-0x77"
registers = { "0x2b" = "00" }
"""


class Case(msgspec.Struct, frozen=True):
    """One fault of one device. `says` is part of its log line, empty if it cannot be noticed."""

    kind: str
    device: str
    says: str
    settings: str = ""

    def __str__(self) -> str:
        return f"{self.device} {self.kind} {self.settings}".strip()

    @property
    def plugin(self) -> str:
        return PLUGINS[self.device]

    @property
    def may_be_slow(self) -> bool:
        """Whether the fault itself may be taken for a slow bus."""
        return self.says in (TOO_SLOW, self.device)


CASES = [
    Case("no-answer", "dht22-gpio4", "no answer at gpio4"),
    Case("unplugged", "dht22-gpio4", "no answer at gpio4"),
    Case("bit-errors", "dht22-gpio4", "wrong checksum", "rate = 1"),
    Case("slow-bus", "dht22-gpio4", "no end of the transfer at gpio4", "delay_s = 9"),
    Case("stuck-data", "dht22-gpio4", "all bits are 0", "byte = 0x00"),
    Case("stuck-data", "dht22-gpio4", "wrong checksum", "byte = 0xff"),
    Case("stuck-data", "dht22-gpio4", ""),
    Case("no-answer", "bme680-0x77", "no answer at i2c-1 0x77"),
    Case("unplugged", "bme680-0x77", "no answer at i2c-1 0x77"),
    Case("wrong-id", "bme680-0x77", "chip id is 0x60"),
    # The first error of these two depends on the phase of the measurement in which they begin.
    Case("bit-errors", "bme680-0x77", "bme680-0x77", "rate = 1"),
    Case("stuck-data", "bme680-0x77", "bme680-0x77", "byte = 0x00"),
    Case("slow-bus", "bme680-0x77", TOO_SLOW, "delay_s = 0.1"),
    Case("stuck-data", "bme680-0x77", ""),
    Case("no-answer", "ssd1306-0x3c", "no answer at i2c-1 0x3c"),
    Case("unplugged", "ssd1306-0x3c", "no answer at i2c-1 0x3c"),
    Case("slow-bus", "ssd1306-0x3c", "no end of the transfer at i2c-1 0x3c", "delay_s = 9"),
    Case("bit-errors", "ssd1306-0x3c", "", "rate = 1"),
]
NOTICED = [case for case in CASES if case.says]
UNNOTICED = [case for case in CASES if not case.says]


def nodes() -> dict[str, list[Case]]:
    """Return the cases by node: no node has two faults of one device."""
    by_device = [[case for case in CASES if case.device == device] for device in PLUGINS]
    columns = itertools.zip_longest(*by_device)
    return {f"node-{n}": [c for c in column if c] for n, column in enumerate(columns)}


def node_of(case: Case) -> str:
    return next(node for node, cases in nodes().items() if case in cases)


def scenario_of(cases: list[Case]) -> str:
    faults = (
        f'[[faults]]\nkind = "{case.kind}"\ndevice = "{case.device}"\n'
        f"from_s = {FROM_S}\nuntil_s = {UNTIL_S}\n{case.settings}\n"
        for case in cases
    )
    return SCENARIO + "\n".join(faults)


def agent(node: str, playing: str, port: int, directory: Path) -> Service:
    scenario = directory / f"{node}.toml"
    scenario.write_text(playing)
    arguments = [
        *("--role", "spoke", "--simulate", "--config", "config/spoke.toml"),
        *settings(
            cluster__node_id=node,
            broker__url=f"mqtt://{HOST}:{port}",
            polling__interval_seconds=0.5,
            plugins__poll_deadline_s=PATIENT_S,
            plugins__load_deadline_s=PATIENT_S,
            plugins__enabled=msgspec.json.encode([*PLUGINS.values()]).decode(),
            hardware__scenario=scenario,
            storage__state_dir=directory / node,
            storage__cache_dir=CACHE,
        ),
    ]
    return Service("tests.triggered.agent", arguments, directory / f"{node}.log")


class Ears(Listener):
    """A listener that knows how many messages were heard before the faults began."""

    before_faults = 0


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ears]:
    """Start all nodes, then their faults; yield a listener on their bus."""
    bundles = packed(PROJECT / "plugins")
    with Runtime(CACHE, Limits()) as runtime:
        for plugin in PLUGINS.values():
            runtime.load(bundles[plugin]).close()
    directory, port = tmp_path_factory.mktemp("faults"), free_port()
    with ExitStack() as stack:
        stack.enter_context(embedded_broker(port))
        listener = stack.enter_context(Ears(port))
        # It leaves the plugins' compiled code in the cache, from which the others start quickly.
        stack.enter_context(agent("no-gas", NO_GAS, port, directory))
        wait_until_all_devices_work(listener, "no-gas")
        agents = [
            stack.enter_context(agent(node, scenario_of(cases), port, directory))
            for node, cases in nodes().items()
        ]
        for node in nodes():
            wait_until_all_devices_work(listener, node)
        listener.before_faults = len(listener.said)
        for running in agents:
            running.process.send_signal(TRIGGER)
        yield listener


def wait_until_all_devices_work(listener: Listener, node: str) -> None:
    for sensor in LEDS:
        listener.wait_topic(f"harvester/{node}/readings/{sensor}", START_S)
    listener.wait_for(
        lambda said: said.topic.node == node and isinstance(said.message, Oled) and said.message.on,
        START_S,
        node=node,
    )


def line(said: Said, case: Case, begins_with: str) -> bool:
    """Whether `said` is the log line about the case's device that begins with `begins_with`."""
    return (
        said.topic.node == node_of(case)
        and isinstance(said.message, Log)
        and said.message.source == f"plugin:{case.plugin}"
        and said.message.message.startswith(f"{begins_with}: {case.device}")
        and (case.may_be_slow or TOO_SLOW not in said.message.message)
    )


def wait_line(listener: Ears, case: Case, begins_with: str) -> tuple[int, str]:
    """Wait for the log line; return its index in `listener.said`, and its text."""
    said = listener.wait_for(
        lambda said: line(said, case, begins_with),
        after=listener.before_faults,
        node=node_of(case),
    )
    assert isinstance(said.message, Log)
    return listener.said.index(said), said.message.message


def lines(listener: Ears, case: Case, begins_with: str, end: int) -> list[Said]:
    """Return the log lines about the case's fault, which was over at the index `end`.

    After it, the bus is too slow only for a plugin that gets no processor.
    """
    first = listener.before_faults
    return [
        said
        for index, said in enumerate(listener.said[first:], first)
        if line(said, case, begins_with) and (index <= end or TOO_SLOW.encode() not in said.payload)
    ]


def was_starved(listener: Listener, case: Case) -> bool:
    """Whether the plugin got no processor in a poll, and told of a slow bus."""
    mark = f"{case.device}: {TOO_SLOW}".encode()
    return any(said.topic.node == node_of(case) and mark in said.payload for said in listener.said)


def logged_ms(listener: Listener, index: int) -> int:
    message = listener.said[index].message
    assert isinstance(message, Log)
    return message.timestamp_ms


def reading(said: Said, case: Case) -> dict[str, object] | None:
    if said.topic.node != node_of(case) or not isinstance(said.message, Reading):
        return None
    return {**said.message.data} if said.message.sensor_id == case.device else None


def light(said: Said, case: Case) -> str:
    """Return the colour of the case's LED in a message about LEDs, otherwise nothing."""
    if said.topic.node != node_of(case) or not isinstance(said.message, Leds):
        return ""
    return said.message.pixels[LEDS[case.device]]


def state(said: Said, case: Case) -> PluginState | None:
    if said.topic.node != node_of(case) or not isinstance(said.message, PluginState):
        return None
    return said.message if said.topic.name == case.plugin else None


@pytest.mark.parametrize("case", NOTICED, ids=str)
def test_a_fault_is_logged_once_when_it_begins_and_once_when_it_ends(
    listener: Ears, case: Case
) -> None:
    begin, begun = wait_line(listener, case, "fault")
    end, ended = wait_line(listener, case, "fault over")
    assert case.says in begun
    assert case.says in ended
    lasted_s = int(ended.partition(" after ")[2].split()[0])
    # A DHT22 is read every 2 s at most, and a slow machine notices a fault late.
    assert lasted_s >= (UNTIL_S - FROM_S) / 2
    # A slow machine stretches the fault and the time between its lines alike.
    logged_s = (logged_ms(listener, end) - logged_ms(listener, begin)) / 1000
    assert abs(lasted_s - logged_s) <= STARVED_S
    assert begin < end
    for begins_with in ("fault", "fault over"):
        assert len(lines(listener, case, begins_with, end)) == 1


@pytest.mark.parametrize("case", [case for case in NOTICED if case.device in LEDS], ids=str)
def test_a_fault_stops_the_reading_and_its_end_brings_it_back(listener: Ears, case: Case) -> None:
    begin, _ = wait_line(listener, case, "fault")
    end, _ = wait_line(listener, case, "fault over")
    assert [said for said in listener.said[begin:end] if reading(said, case)] == []
    listener.wait_for(lambda said: reading(said, case) is not None, after=end, node=node_of(case))


@pytest.mark.parametrize("case", [case for case in NOTICED if case.device in LEDS], ids=str)
def test_a_fault_turns_the_led_magenta_until_it_ends(listener: Ears, case: Case) -> None:
    begin, _ = wait_line(listener, case, "fault")
    end, _ = wait_line(listener, case, "fault over")
    during = [light(said, case) for said in listener.said[begin:end] if light(said, case)]
    assert MAGENTA in during
    assert set(during[during.index(MAGENTA) :]) == {MAGENTA}
    listener.wait_for(
        lambda said: light(said, case) not in ("", MAGENTA), after=end, node=node_of(case)
    )


@pytest.mark.parametrize("case", NOTICED, ids=str)
def test_a_fault_of_a_device_does_not_stop_its_plugin(listener: Ears, case: Case) -> None:
    end, _ = wait_line(listener, case, "fault over")
    states = [found for said in listener.said[:end] if (found := state(said, case))]
    assert {found.state for found in states} <= {"loading", "running"}
    assert {found.restarts for found in states} == {0}


@pytest.mark.parametrize("case", [case for case in NOTICED if case.device in LEDS], ids=str)
def test_a_fault_is_named_in_the_plugins_state_until_it_ends(listener: Ears, case: Case) -> None:
    begin, begun = wait_line(listener, case, "fault")
    end, _ = wait_line(listener, case, "fault over")
    named = [found.error for said in listener.said[begin:end] if (found := state(said, case))]
    assert named
    assert set(named) <= {"", begun}
    assert begun in named
    listener.wait_for(
        lambda said: (found := state(said, case)) is not None and found.error == "",
        after=end,
        node=node_of(case),
    )


@pytest.mark.parametrize("case", [case for case in UNNOTICED if case.kind == "stuck-data"], ids=str)
def test_values_that_stand_still_are_believed(listener: Ears, case: Case) -> None:
    def temperatures() -> list[object]:
        return [data["temperature"] for said in listener.said if (data := reading(said, case))]

    def stood_still_and_went_on(_: Said) -> bool:
        runs = [len([*equal]) for _, equal in itertools.groupby(temperatures())]
        # 8 s are some 16 cycles; a working DHT22 repeats a value for 5 of them.
        return any(length >= 11 for length in runs[:-1])

    listener.wait_for(stood_still_and_went_on, node=node_of(case))
    assert [said for said in listener.said if line(said, case, "fault")] == []
    lights = {light(said, case) for said in listener.said}
    assert MAGENTA not in lights or was_starved(listener, case)


def test_a_display_is_never_read_so_it_knows_no_bit_errors(listener: Ears) -> None:
    (case,) = (case for case in UNNOTICED if case.device == "ssd1306-0x3c")
    # By then the faults of the same node's other devices are over.
    neighbour = next(c for c in nodes()[node_of(case)] if c in NOTICED)
    wait_line(listener, neighbour, "fault over")
    assert [said for said in listener.said if line(said, case, "fault")] == []


def test_without_valid_gas_there_is_no_gas_reading_and_a_fault_that_says_so(
    listener: Ears,
) -> None:
    def of_node(said: Said, kind: type) -> bool:
        return said.topic.node == "no-gas" and isinstance(said.message, kind)

    def is_fault(said: Said) -> bool:
        return of_node(said, Log) and b"fault: bme680-0x77 gas: not valid" in said.payload

    listener.wait_for(is_fault, node="no-gas")
    listener.wait_for(
        lambda s: (
            isinstance(s.message, Leds) and of_node(s, Leds) and s.message.pixels[2] == MAGENTA
        ),
        node="no-gas",
    )
    said = listener.wait_for(
        lambda s: of_node(s, Reading) and s.topic.name == "bme680-0x77", node="no-gas"
    )
    assert isinstance(said.message, Reading)
    assert "gas_resistance" not in said.message.data
    assert said.message.data["iaq_accuracy"] == 0
    assert "iaq_score" not in said.message.data
    assert {"temperature", "humidity", "pressure"} <= said.message.data.keys()
    assert len([said for said in listener.said if is_fault(said)]) == 1


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_table_in_the_docs_has_every_fault(case: Case) -> None:
    document = (PROJECT / "docs" / "faults.md").read_text()
    (section,) = (part for part in document.split("\n## ") if f"(`{case.device}`)" in part)
    rows = [row for row in section.splitlines() if row.startswith("|") and f"`{case.kind}`" in row]
    assert rows
    if case.says != case.device:
        assert any((case.says or "**Not noticed") in row for row in rows)
