"""The file of the plugins that a command has disabled."""

from pathlib import Path

import pytest

from node_agent.plugins.disabled import DisabledPlugins


def test_a_command_outlives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "disabled-plugins.json"
    DisabledPlugins(path).note("oled", is_disabled=True)
    DisabledPlugins(path).note("dht22", is_disabled=True)
    DisabledPlugins(path).note("oled", is_disabled=False)
    found = DisabledPlugins(path)
    assert "dht22" in found
    assert "oled" not in found


@pytest.mark.parametrize("content", [b"", b"17", b'{"a": 1}', b"\xff", b"[1]"])
def test_a_damaged_file_disables_nothing_and_is_replaced_by_the_next_command(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "disabled-plugins.json"
    path.write_bytes(content)
    found = DisabledPlugins(path)
    assert "oled" not in found
    assert str(path) in caplog.text
    assert (tmp_path / "disabled-plugins.damaged").read_bytes() == content
    found.note("oled", is_disabled=True)
    assert "oled" in DisabledPlugins(path)


def test_where_the_disk_refuses_the_command_is_carried_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    found = DisabledPlugins(tmp_path / "file" / "disabled-plugins.json")
    found.note("oled", is_disabled=True)
    assert "oled" in found
    assert "lost at a restart" in caplog.text
