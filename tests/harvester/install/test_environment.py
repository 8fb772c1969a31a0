"""The program's environment: a copy of what is installed, switched to at once."""

from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from bus.errors import MisconfiguredError
from harvester.install import distributions
from harvester.install.environment import switch_to


@pytest.fixture
def tool(tmp_path: Path) -> Distribution:
    """A distribution with a module and a script, as pip installs it."""
    prefix = tmp_path / "home" / "venv"
    site = prefix / "lib" / "python3.11" / "site-packages"
    info = site / "tool-1.0.dist-info"
    info.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n")
    (info / "RECORD").write_text(
        "tool.py,,\n../../../bin/tool,,\ntool-1.0.dist-info/METADATA,,\n"
        "__pycache__/tool.cpython-311.pyc,,\n"
    )
    (site / "tool.py").write_text("VALUE = 1\n")
    script = prefix / "bin" / "tool"
    script.write_text(f"#!{prefix}/bin/python\nimport tool\n")
    script.chmod(0o755)
    return PathDistribution(info)


def test_a_copied_script_starts_the_new_environment(tool: Distribution, tmp_path: Path) -> None:
    prefix = tmp_path / "opt"
    site = prefix / "lib" / "python3.11" / "site-packages"
    distributions.copy([tool], site)
    assert (site / "tool.py").read_text() == "VALUE = 1\n"
    script = prefix / "bin" / "tool"
    assert script.read_text() == f"#!{prefix}/bin/python\nimport tool\n"
    assert script.stat().st_mode & 0o111


def test_a_file_outside_of_the_environment_is_not_copied(
    tool: Distribution, tmp_path: Path
) -> None:
    outside = tmp_path / "home" / "outside"
    outside.write_text("x")
    record = tmp_path / "home/venv/lib/python3.11/site-packages/tool-1.0.dist-info/RECORD"
    record.write_text("../../../../outside,,\n")
    with pytest.raises(MisconfiguredError, match="outside of its environment"):
        distributions.copy([tool], tmp_path / "opt/lib/python3.11/site-packages")


def test_the_identity_follows_the_versions(tool: Distribution) -> None:
    assert distributions.identity([tool]) == distributions.identity([tool])
    assert distributions.identity([tool]) != distributions.identity([])


def test_a_clone_is_not_installed() -> None:
    with pytest.raises(MisconfiguredError, match="make wheel"):
        distributions.of_program()


def test_the_link_moves_from_one_environment_to_the_next(tmp_path: Path) -> None:
    link = tmp_path / ".venv"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        switch_to(tmp_path / name, link)
        assert link.resolve() == tmp_path / name


def test_an_environment_made_by_hand_is_moved_aside(tmp_path: Path) -> None:
    link = tmp_path / ".venv"
    (link / "bin").mkdir(parents=True)
    (tmp_path / "one").mkdir()
    switch_to(tmp_path / "one", link)
    assert link.resolve() == tmp_path / "one"
    assert (tmp_path / ".venv.before" / "bin").is_dir()
