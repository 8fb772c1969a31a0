"""Waits of `threading` and `queue` as a guest has them; tests/node_agent/sandbox runs them."""

import subprocess
import sys
import threading
from types import ModuleType

import pytest

from harvester.plugins.builder.guest import harvester_waits

WITHOUT_C = """
import runpy
{before}
runpy.run_path({file!r})["install"]()
from queue import SimpleQueue
import queue
assert SimpleQueue is queue._PySimpleQueue, SimpleQueue
"""


def test_a_module_of_another_name_is_left_as_it_is() -> None:
    module = ModuleType("queue")
    before = dict(vars(module))
    harvester_waits.mend(module)
    assert vars(module) == before


def test_the_conditions_of_threading_wait_by_the_guests_sleep() -> None:
    module = ModuleType("threading")
    module.Condition = type("Condition", (threading.Condition,), {})  # type: ignore[attr-defined]
    harvester_waits.mend(module)
    condition = module.Condition()
    with condition:
        assert not condition.wait(0.001)


def test_a_lock_that_nobody_could_release_is_an_error_with_a_line() -> None:
    module = ModuleType("threading")
    module.Condition = type("Condition", (threading.Condition,), {})  # type: ignore[attr-defined]
    harvester_waits.mend(module)
    lock = module.Lock()
    with lock:
        assert lock.locked()
        assert not lock.acquire(blocking=False)
        assert not lock.acquire(timeout=0.001)
        with pytest.raises(RuntimeError, match="the lock is held already"):
            lock.acquire()
    assert not lock.locked()
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        lock.release()


@pytest.mark.parametrize("before", ["", "import queue"], ids=["fresh", "imported before"])
def test_queues_wait_by_conditions_however_early_a_plugin_takes_them(before: str) -> None:
    program = WITHOUT_C.format(file=harvester_waits.__file__, before=before)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
