"""The machine to install: its files, its users and its commands. Tests pass one in a folder."""

import pwd
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError, UnavailableError

Run = Callable[[Sequence[str]], str]
_TIMEOUT_S = 600


def run(words: Sequence[str]) -> str:
    """Run a command and return what it printed. Raises UnavailableError where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            words, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise UnavailableError(f"{' '.join(words)}: {e}") from e
    if done.returncode != 0:
        raise UnavailableError(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class System(msgspec.Struct, frozen=True, kw_only=True):
    """`root` is the folder of the machine's files, `run` runs a command on it."""

    root: Path = Path("/")
    run: Run = run

    def path(self, absolute: str) -> Path:
        """Return where the machine's file `absolute` is."""
        return self.root / absolute.lstrip("/")

    def asks(self, *words: str) -> bool:
        """Whether a command succeeds."""
        try:
            self.run(words)
        except UnavailableError:
            return False
        return True

    def owner(self, user: str) -> tuple[int, int] | None:
        """Return the ids of a user and its group; None for files that stay with root.

        Raises MisconfiguredError where there is no such user.
        """
        if not user or user == "root":
            return None
        try:
            found = pwd.getpwnam(user)
        except KeyError as e:
            raise MisconfiguredError(f"found no user {user!r}; expected the one just made") from e
        return found.pw_uid, found.pw_gid
