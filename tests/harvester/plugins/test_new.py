"""A new plugin is whole: tested, clean, typed, and it runs as it was made."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bus.config import config_file
from harvester.cli import main
from harvester.plugins import stubs as plugin_stubs
from harvester.plugins.new import KINDS
from tests.support import PROJECT

WIT = PROJECT / "wit" / "plugin.wit"


def harvester(project: Path, *arguments: str) -> None:
    main(["--project", str(project), "plugins", *arguments])


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_runs_in_the_sandbox_as_it_was_made(
    author_project: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    harvester(author_project, "test", f"my-{kind}", "--grant-all", "--polls", "1")
    printed = capsys.readouterr().out
    assert f"  reading  my-{kind}: " in printed
    assert "  led      4 #00ff00" in printed


def test_the_tests_of_new_plugins_pass_all_at_once(author_project: Path) -> None:
    done = run(author_project, "pytest", "-q", "-p", "no:cacheprovider", "plugins")
    assert done.returncode == 0, done.stdout
    assert "18 passed" in done.stdout


def test_new_plugins_are_clean(author_project: Path) -> None:
    config = str(PROJECT / "pyproject.toml")
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = run(author_project, "ruff", *command, "--config", config, *new_plugins())
        assert done.returncode == 0, done.stdout


def new_plugins() -> list[str]:
    return [f"plugins/my-{kind}" for kind in KINDS]


def type_checked(project: Path, app: str) -> str:
    """Return what mypy says about one file with the project's strict settings."""
    config = str(PROJECT / "pyproject.toml")
    if not (project / "stubs").exists():
        shutil.copytree(PROJECT / "stubs", project / "stubs")
    cache = ["--cache-dir", str(project / ".mypy_cache")]
    return run(project, "mypy", "--config-file", config, *cache, app).stdout


def test_new_plugins_fit_the_stubs_and_a_wrong_call_does_not(author_project: Path) -> None:
    for plugin in new_plugins():
        assert type_checked(author_project, f"{plugin}/app.py").startswith("Success")
    app = author_project / "plugins" / "my-i2c" / "app.py"
    wrong = app.with_name("wrong.py")
    wrong.write_text(app.read_text().replace("write.hex()", "write"))
    try:
        said = type_checked(author_project, str(wrong.relative_to(author_project)))
    finally:
        wrong.unlink()
    assert 'Argument 2 to "transfer" has incompatible type "bytes"; expected "str"' in said


def test_the_stubs_are_those_of_the_contract() -> None:
    folder = PROJECT / "stubs"
    found = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.pyi")}
    assert found == plugin_stubs.stubs(WIT), "run `harvester plugins stubs`"


@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_in_the_readme_are_all_that_a_node_needs(author_project: Path, kind: str) -> None:
    readme = (author_project / "plugins" / f"my-{kind}" / "README.md").read_text()
    lines = readme.partition("```toml\n")[2].partition("```")[0]
    wanted = tomllib.loads(lines)["plugins"]
    shipped = PROJECT / "config" / "spoke.toml"
    grant = wanted["grants"][f"my-{kind}"]
    overrides = [f"plugins.enabled={wanted['enabled']}"]
    overrides += [f"plugins.grants.my-{kind}.{key}={_toml(v)}" for key, v in grant.items()]
    config = config_file.load(shipped, overrides)
    assert config.plugins.enabled[-1] == f"my-{kind}"
    assert config.plugins.grants[f"my-{kind}"].leds == [4]


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("name", ["Boiler", "boiler room", "../boiler", "", "b" * 65, "cmd"])
def test_a_bad_name_is_one_line(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(PROJECT / "wit", tmp_path / "wit")
    with pytest.raises(SystemExit) as exited:
        harvester(tmp_path, "new", name)
    assert exited.value.code == 2
    assert capsys.readouterr().err == (
        f"plugins new: found {name!r}, expected up to 64 of a-z, 0-9 and dashes, and none of "
        "cmd, result\n"
    )
    assert not (tmp_path / "plugins").exists()


def test_a_folder_that_exists_is_left_alone(
    author_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = author_project / "plugins" / "my-i2c"
    before = {path: path.read_bytes() for path in taken.glob("*.py")}
    with pytest.raises(SystemExit) as exited:
        harvester(author_project, "new", "my-i2c", "--kind", "spi")
    assert exited.value.code == 2
    assert capsys.readouterr().err == (
        f"plugins new: {taken} exists; expected a name that is free\n"
    )
    assert {path: path.read_bytes() for path in taken.glob("*.py")} == before


def test_a_folder_without_a_configuration_gets_a_plugin_for_the_default_one(
    tmp_path: Path,
) -> None:
    harvester(tmp_path, "new", "boiler", "--kind", "gpio")
    readme = (tmp_path / "plugins" / "boiler" / "README.md").read_text()
    assert 'enabled = ["dht22", "bme680", "pi4-monitor", "oled", "boiler"]' in readme
    assert f"`{tmp_path}/config/spoke.toml`" in readme
