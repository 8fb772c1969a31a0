"""The version before, from the history: a tree of its own that starts its own programs."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support import PROJECT, WAIT_S

# The last commit before nodes and hub announced updates. A release's tag takes its place.
COMMIT = "589ca6d"


@contextlib.contextmanager
def tree(folder: Path) -> Iterator[Path]:
    """Check the version out into `folder`, with the components of this one, until the end."""
    target = folder / "previous"
    _git("worktree", "add", "--detach", str(target), COMMIT)
    try:
        for component in (PROJECT / "plugins").glob("*/*.wasm"):
            shutil.copy(component, target / "plugins" / component.parent.name)
        yield target
    finally:
        _git("worktree", "remove", "--force", str(target))


@contextlib.contextmanager
def program(root: Path, module: str, arguments: Sequence[str], log: Path) -> Iterator[None]:
    """Run a module of the tree `root` until the context ends."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    with (
        log.open("w") as file,
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=root,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            process.wait(WAIT_S)


def _git(*words: str) -> None:
    subprocess.run(["git", "-C", str(PROJECT), *words], check=True, capture_output=True)
