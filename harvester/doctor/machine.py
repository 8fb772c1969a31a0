"""The machine under examination: its files, its libraries and the user. Tests pass a fake one."""

import grp
import os
import pwd
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from node_agent.hal.real import library

ROOT_UID = 0


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """`may_use` tells whether this process may read and write a file; `load` imports a library.

    `load` raises what `library.load` does. `programs` is the folder of the console scripts,
    and `sudo` is the prefix of a command that changes the machine.
    """

    root: Path = Path("/")
    user: str
    uid: int
    groups: frozenset[str]
    may_use: Callable[[Path], bool]
    load: Callable[[str], object] = library.load
    environment: Mapping[str, str]
    programs: Path
    sudo: str = ""

    @property
    def is_root(self) -> bool:
        return self.uid == ROOT_UID

    def path(self, absolute: str) -> Path:
        """Return where the machine's file `absolute` is."""
        return self.root / absolute.lstrip("/")


def this_machine(environment: Mapping[str, str]) -> Machine:
    """Return the machine that this process runs on, with this process's rights."""
    programs = Path(sys.executable).parent
    return Machine(
        user=user_name(os.geteuid()),
        uid=os.geteuid(),
        groups=frozenset(group_name(gid) for gid in {os.getegid(), *os.getgroups()}),
        may_use=lambda path: os.access(path, os.R_OK | os.W_OK, effective_ids=True),
        environment=environment,
        programs=programs,
        sudo="" if os.access(programs, os.W_OK) else "sudo ",
    )


def is_there(path: Path) -> bool:
    """Whether this process can see the file; it cannot in a folder that is closed to it."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def user_name(uid: int) -> str:
    """Return the user's name, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
