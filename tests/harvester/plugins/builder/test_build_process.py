"""The process in which `harvester plugins dev` builds: its outcome, its faults and its end."""

import shutil
import stat
import sys
from pathlib import Path

import pytest

from harvester.errors import BuildError
from harvester.plugins.builder.build_process import BuildProcess
from tests.support import PROJECT

WIT = PROJECT / "wit" / "plugin.wit"


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT / "tests" / "components" / "mischief", tmp_path / "mine"))


def test_a_mistake_in_the_source_is_told_with_its_line(plugin: Path) -> None:
    app = plugin / "app.py"
    app.write_text(f"{app.read_text()}\ndef broken(:\n")
    line = len(app.read_text().splitlines())
    with pytest.raises(BuildError, match=rf"app\.py:{line}: invalid syntax"):
        BuildProcess(plugin, WIT).wait()


def test_a_bad_manifest_is_told(plugin: Path) -> None:
    (plugin / "plugin.toml").write_text("wurld = 1\n")
    with pytest.raises(BuildError, match=r"plugin\.toml:1: wurld: .*expected one of world"):
        BuildProcess(plugin, WIT).wait()


def test_a_process_that_aborts_is_told_and_harms_no_other(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aborting = tmp_path / "python"
    aborting.write_text("#!/bin/sh\nkill -ABRT $$\n")
    aborting.chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "executable", str(aborting))
    with pytest.raises(BuildError, match="the build process failed: Aborted"):
        BuildProcess(plugin, WIT).wait()


def test_a_cancelled_build_ends_and_leaves_nothing_behind(plugin: Path) -> None:
    before = {file.name for file in plugin.iterdir()}
    build = BuildProcess(plugin, WIT)
    build.cancel()
    build.cancel()
    with pytest.raises(BuildError):
        build.wait()
    assert {file.name for file in plugin.iterdir()} - before <= {"__pycache__"}
