"""Program that polls failing plugins on several threads and collects garbage all the time.

Another thread parses Python, which allocates much and so collects what the plugins' threads left.
"""

import ast
import gc
import inspect
import tempfile
import threading
from pathlib import Path

from bus.errors import HarvesterError
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.runtime import Runtime
from tests.built_components import CACHE
from tests.node_agent.sandbox.test_instance import EVERYTHING, LIMITS, Guest
from tests.support import PROJECT

_WASM = PROJECT / "tests" / "components" / "mischief" / "mischief.wasm"
_MODES = ("count", "fail", "many_readings", "large_string", "wrong_led", "leave")
_ROUNDS = 2
_THREADS = 2


def poll_all(loaded: LoadedComponent, directory: Path) -> None:
    """Start an instance for each mode, and poll it to its fault."""
    for number in range(_ROUNDS * len(_MODES)):
        guest = Guest(loaded, directory / str(number), EVERYTHING)
        try:
            guest.poll(_MODES[number % len(_MODES)])
        except HarvesterError:
            continue
        finally:
            guest.instance.close()


def main() -> None:
    gc.set_threshold(20, 2, 2)
    with (
        tempfile.TemporaryDirectory() as directory,
        Runtime(CACHE, LIMITS) as runtime,
        runtime.load(_WASM) as loaded,
    ):
        threads = [
            threading.Thread(target=poll_all, args=(loaded, Path(directory) / str(number)))
            for number in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            ast.parse(inspect.getsource(threading))
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
