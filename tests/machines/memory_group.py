"""Memory limit of a service, set from outside: a container may write no memory controller."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.machines.machine import Machine

# The memory controller of cgroups version 1, which this computer may lack.
_MOUNT = Path("/sys/fs/cgroup/memory")


def is_available() -> bool:
    return (_MOUNT / "memory.limit_in_bytes").exists()


class MemoryGroup:
    """A control group with a limit, in which a machine starts its next processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def limit(self, size_bytes: int) -> None:
        (self._folder / "memory.limit_in_bytes").write_text(f"{size_bytes}\n")

    @property
    def highest_bytes(self) -> int:
        """The most that was in use."""
        return int((self._folder / "memory.max_usage_in_bytes").read_text())

    @property
    def kills(self) -> int:
        """The number of processes that the kernel has ended for their memory."""
        lines = (self._folder / "memory.oom_control").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextlib.contextmanager
def memory_group(machine: Machine, limit_bytes: int) -> Iterator[MemoryGroup]:
    """Limit the memory of what a machine starts until the context ends."""
    folder = _MOUNT / f"{machine.container}-limit"
    folder.mkdir()
    group = MemoryGroup(folder)
    group.limit(limit_bytes)
    # A process is born into the group of its parent, and systemd starts the services.
    (folder / "cgroup.procs").write_text(f"{machine.leader}\n")
    try:
        yield group
    finally:
        for process in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (_MOUNT / "cgroup.procs").write_text(f"{process}\n")
        folder.rmdir()
