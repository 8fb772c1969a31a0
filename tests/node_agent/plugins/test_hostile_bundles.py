"""Hostile bundles beside a healthy one, all in the same cycles: it polls in each."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event

import msgspec
import pytest

from node_agent.plugins.sensor_owners import SensorOwners
from node_agent.sandbox.runtime import Runtime
from tests.built_components import packed
from tests.node_agent import source_bundle
from tests.node_agent.plugins.hostile import BEAT_S
from tests.node_agent.plugins.hostile_sources import HEAD, HEALTHY, HOSTILE
from tests.node_agent.plugins.test_runner import Bench
from tests.support import PROJECT, WAIT_S


class Outcome(msgspec.Struct, frozen=True):
    """What the state of each hostile plugin said, and how often the healthy one polled."""

    errors: dict[str, str]
    cycles: int
    healthy: list[dict[str, float]]
    forged: list[str]


@pytest.fixture(scope="module")
def outcome(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    packed(PROJECT / "tests" / "components")
    directory = tmp_path_factory.mktemp("hostile")
    owners = SensorOwners(["healthy", *HOSTILE])

    def bench(name: str, source: str) -> Bench:
        file = directory / f"{name}.bundle"
        file.write_bytes(source_bundle.encoded(source, ["gpio-provider"]))
        return Bench(runtime, file, directory / name, name=name, owners=owners)

    healthy = bench("healthy", HEAD + HEALTHY)
    hostile = {name: bench(name, source) for name, (source, _) in HOSTILE.items()}
    pause, deadline_s, cycles = Event(), time.monotonic() + 4 * WAIT_S, 0
    errors: dict[str, str] = {}
    with ExitStack() as stack:
        for each in (healthy, *hostile.values()):
            stack.callback(each.runner.stop, WAIT_S)
        healthy.beat_until(healthy.is_running)
        healthy.runner.wait_idle(WAIT_S)
        healthy.samples.clear()
        while len(errors) < len(HOSTILE) and time.monotonic() < deadline_s:
            for name, each in hostile.items():
                each.runner.run_cycle(time.monotonic())
                if each.state().error:
                    errors.setdefault(name, each.state().error)
            healthy.runner.run_cycle(time.monotonic())
            assert healthy.runner.wait_idle(WAIT_S)
            cycles += 1
            pause.wait(BEAT_S)
        forged = [s.sensor_id for each in hostile.values() for s in each.samples]
        yield Outcome(errors, cycles, [dict(s.data) for s in healthy.samples], forged)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_ends_with_one_sentence(outcome: Outcome, name: str) -> None:
    error = outcome.errors.get(name, "nothing")
    assert error.startswith(HOSTILE[name][1])
    assert "\n" not in error


def test_the_healthy_neighbour_polls_in_every_cycle(outcome: Outcome) -> None:
    assert outcome.healthy == [{"fine": 1.0}] * outcome.cycles
    assert "healthy" not in outcome.forged
