"""Outputs of a plugin over its lives: faults, reloads, disabling, with a component."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bus.config.grant_table import Output
from bus.config.settings import Config, Grant
from bus.contract.messages import PluginState
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.hal.simulated.board import SimulatedBoard
from node_agent.hal.simulated.recorder import Recorder
from node_agent.hal.simulated.scenario import Scenario
from node_agent.host_functions.effects import EffectParts
from node_agent.plugins.runner import PluginRunner
from node_agent.plugins.store import PluginStore
from node_agent.plugins.thread import PluginParts
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox.runtime import Runtime
from tests.built_components import packed
from tests.support import PROJECT, wait_until

GRANT = Grant(inputs=[17], outputs=[Output(pin=22, safe="low")], events=True, state=True)
LIGHT = ["gpio", "write", 22, True]


class Node:
    """A runner of the doorbell plugin, which makes the calls that a test asks for."""

    def __init__(self, runtime: Runtime, file: Path, folder: Path, board: SimulatedBoard) -> None:
        self.board = board
        self.now_s = 0.0
        self.states: list[PluginState] = []
        self.store = PluginStore(folder / "state.json")
        self.polled = 0
        node = NodeParts(board, LedBuffer(0), None, None)
        parts = PluginParts(
            name="doorbell",
            runtime=runtime,
            refuse=lambda _interfaces: "",
            make_imports=partial(host_imports, "doorbell", GRANT, node, self.store),
            effects=EffectParts("doorbell", GRANT, board),
            feed=str,
            on_samples=self._count,
        )
        self.runner = PluginRunner(parts, lambda: file, self.states.append)

    def _count(self, *_: object) -> None:
        self.polled += 1

    def ask(self, *calls: list[object]) -> None:
        self.store.set("calls", json.dumps(calls))

    def cycle(self) -> bool:
        """Run a cycle, far enough in time for every back-off."""
        self.now_s += 400.0
        self.runner.run_cycle(self.now_s)
        return self.runner.wait_idle(0.05)

    def cycle_until(self, *, is_lit: bool) -> None:
        def is_so() -> bool:
            self.cycle()
            return self.lit is is_lit

        wait_until(is_so)

    @property
    def lit(self) -> bool | None:
        return self.board.pins.levels.get(22)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(
        shutil.copy(packed(PROJECT / "tests" / "components")["doorbell"], tmp_path / "bell.bundle")
    )


@pytest.fixture
def node(runtime: Runtime, file: Path, tmp_path: Path) -> Iterator[Node]:
    with closing(SimulatedBoard(Config(), Scenario(), Recorder(""), lambda: 0.0)) as board:
        made = Node(runtime, file, tmp_path, board)
        yield made
        made.runner.stop(20.0)


def test_an_output_is_safe_as_soon_as_its_plugin_has_failed(node: Node) -> None:
    node.ask(LIGHT)
    node.cycle_until(is_lit=True)
    node.ask(["no such interface", "call"])
    node.runner.run_cycle(node.now_s)
    # The plugin's thread does it, without another cycle.
    wait_until(lambda: node.lit is False)
    node.ask(LIGHT)
    node.cycle_until(is_lit=True)


def test_an_output_is_safe_while_its_plugin_is_disabled(node: Node) -> None:
    node.ask(LIGHT)
    node.cycle_until(is_lit=True)
    node.runner.command("disable")
    node.runner.run_cycle(node.now_s)
    assert node.lit is False
    node.runner.command("enable")
    node.cycle_until(is_lit=True)


def test_an_output_is_safe_after_its_plugin_was_stopped(node: Node) -> None:
    node.ask(LIGHT)
    node.cycle_until(is_lit=True)
    node.runner.stop(20.0)
    wait_until(lambda: node.lit is False)


def test_a_reload_leaves_an_output_that_the_new_instance_drives_as_it_is(node: Node) -> None:
    node.ask(LIGHT)
    node.cycle_until(is_lit=True)
    wait_until(lambda: node.cycle() and node.polled > 2)
    changes, polled = len(node.board.pins.events), node.polled
    loaded_ms = node.states[-1].loaded_ms
    node.runner.command("reload")
    wait_until(lambda: node.cycle() and node.states[-1].loaded_ms > loaded_ms)
    wait_until(lambda: node.cycle() and node.polled > polled + 2)
    assert len(node.board.pins.events) == changes
    assert node.lit is True
