"""Steps of an installation: one table for install, dry run and uninstall."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from harvester.install.system import System


class Step(Protocol):
    """One change to the machine.

    `is_data`: it holds what people and nodes made, so uninstalling keeps it unless it purges.
    `follows_changes`: it is applied again where an earlier step changed something.
    """

    @property
    def is_data(self) -> bool: ...

    @property
    def follows_changes(self) -> bool: ...

    def describe(self) -> str:
        """Return the step as a phrase: "user harvester"."""

    def is_done(self) -> bool:
        """Whether the machine is already as this step would leave it."""

    def apply(self) -> None:
        """Change the machine. Raises MisconfiguredError or UnavailableError."""

    def is_there(self) -> bool:
        """Whether there is anything for `undo` to remove."""

    def undo(self) -> bool:
        """Remove what the step made, and return whether anything was there."""


class SystemStep(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that steps on a machine share, with their defaults."""

    system: System
    is_data: bool = False
    follows_changes: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """One line of the report."""

    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.word:<8} {self.text}"


def install(steps: Sequence[Step], *, dry_run: bool) -> Iterator[Outcome]:
    """Apply each step that is not done, and yield each outcome as it comes."""
    has_changed = False
    for step in steps:
        if step.is_done() and not (step.follows_changes and has_changed):
            yield Outcome("is so", step.describe())
            continue
        has_changed = True
        if not dry_run:
            step.apply()
        yield Outcome("would do" if dry_run else "done", step.describe())


def uninstall(steps: Sequence[Step], *, purge: bool, dry_run: bool) -> Iterator[Outcome]:
    """Undo the steps, the last one first, and yield each outcome as it comes."""
    for step in reversed(steps):
        if step.is_data and not purge:
            yield Outcome("kept", step.describe())
        elif dry_run:
            yield Outcome("would go" if step.is_there() else "absent", step.describe())
        else:
            yield Outcome("removed" if step.undo() else "absent", step.describe())
