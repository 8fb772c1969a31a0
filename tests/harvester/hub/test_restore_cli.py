"""Place of a restore: the hub that is named, else the one of this machine's services."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import pytest

from bus.config import config_file
from harvester.backup import restore
from harvester.backup.errors import BackupFailedError
from harvester.backup.restore import Target
from harvester.hub import restore_cli


def target_of(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> Target:
    targets: list[Target] = []

    def note(_file: Path, target: Target, _environment: Mapping[str, str]) -> None:
        targets.append(target)
        raise BackupFailedError("that is all")

    monkeypatch.setattr(restore, "restore", note)
    parser = argparse.ArgumentParser()
    restore_cli.define(parser)
    options = parser.parse_args(["hub.zip", *words])
    options.project = folder
    with pytest.raises(BackupFailedError):
        options.run(options)
    return targets[0]


def test_a_backup_goes_to_the_hub_of_this_machine_s_services(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed, folder = tmp_path / "etc", tmp_path / "folder"
    installed.mkdir()
    folder.mkdir()
    monkeypatch.setattr(config_file, "INSTALLED", installed)
    assert target_of(monkeypatch, folder).file is None
    (installed / "hub.toml").touch()
    assert target_of(monkeypatch, folder).file == installed / "hub.toml"
    assert target_of(monkeypatch, folder, "--config", "x.toml").file == Path("x.toml")
