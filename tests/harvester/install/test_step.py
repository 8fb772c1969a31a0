"""The steps of an installation: applied, shown or undone from one table."""

import msgspec

from harvester.install.step import Step, install, uninstall


class Mark(msgspec.Struct):
    """A step that records what was done to it."""

    name: str
    done: bool = False
    is_data: bool = False
    follows_changes: bool = False
    applied: int = 0

    def describe(self) -> str:
        return self.name

    def is_done(self) -> bool:
        return self.done

    def apply(self) -> None:
        self.done = True
        self.applied += 1

    def is_there(self) -> bool:
        return self.done

    def undo(self) -> bool:
        was_done, self.done = self.done, False
        return was_done


def lines(steps: list[Step], *, dry_run: bool = False) -> list[str]:
    return [str(outcome) for outcome in install(steps, dry_run=dry_run)]


def test_only_what_is_missing_is_applied() -> None:
    there, missing = Mark("user", done=True), Mark("folder")
    assert lines([there, missing]) == ["is so    user", "done     folder"]
    assert (there.applied, missing.applied) == (0, 1)


def test_done_again_an_installation_changes_nothing() -> None:
    steps: list[Step] = [Mark("user"), Mark("services", follows_changes=True)]
    lines(steps)
    assert lines(steps) == ["is so    user", "is so    services"]


def test_services_start_again_after_a_change() -> None:
    services = Mark("services", done=True, follows_changes=True)
    lines([Mark("unit"), services])
    assert services.applied == 1
    lines([Mark("unit", done=True), services])
    assert services.applied == 1


def test_a_dry_run_names_every_step_and_applies_none() -> None:
    missing = Mark("folder")
    services = Mark("services", done=True, follows_changes=True)
    assert lines([missing, services], dry_run=True) == ["would do folder", "would do services"]
    assert (missing.applied, services.applied) == (0, 0)


def test_uninstalling_goes_backwards_and_keeps_data() -> None:
    steps: list[Step] = [
        Mark("user", done=True),
        Mark("history", done=True, is_data=True),
        Mark("unit"),
    ]
    found = [str(outcome) for outcome in uninstall(steps, purge=False, dry_run=False)]
    assert found == ["absent   unit", "kept     history", "removed  user"]


def test_a_dry_run_of_the_removal_tells_what_is_absent() -> None:
    steps: list[Step] = [Mark("user", done=True), Mark("unit")]
    found = [str(outcome) for outcome in uninstall(steps, purge=True, dry_run=True)]
    assert found == ["absent   unit", "would go user"]


def test_a_purge_removes_data_too() -> None:
    history = Mark("history", done=True, is_data=True)
    list(uninstall([history], purge=True, dry_run=True))
    assert history.done
    list(uninstall([history], purge=True, dry_run=False))
    assert not history.done
