from pathlib import Path

import pytest

from harvester.errors import BuildError
from harvester.plugins.builder import least_world
from tests.support import PROJECT

WIT = (PROJECT / "wit" / "plugin.wit").read_text()


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("from wit_world.imports import i2c, led_controller", {"i2c", "led-controller"}),
        ("from wit_world.imports.plugin_state import get", {"plugin-state"}),
        ("import wit_world.imports.spi", {"spi"}),
        ("from wit_world.imports import events, fan_controller", {"events", "fan-controller"}),
        ("from wit_world.imports.readings import latest", {"readings"}),
        ("def f():\n    from wit_world.imports import uart", {"uart"}),
        ("from wit_world import exports", set()),
        ("import json", set()),
        ("from wit_world import imports", {"*"}),
        ("import wit_world", {"*"}),
        ("if TYPE_CHECKING:\n    from wit_world.imports import spi", set()),
        ("if typing.TYPE_CHECKING:\n    import wit_world\nelse:\n    import json", set()),
        ("if x:\n    pass\nelif TYPE_CHECKING:\n    import wit_world.imports.uart", set()),
    ],
)
def test_what_a_source_uses_is_read_from_its_imports(
    tmp_path: Path, source: str, used: set[str]
) -> None:
    file = tmp_path / "app.py"
    file.write_text(source)
    assert least_world.used_interfaces([file]) == used


def test_the_least_world_keeps_the_export_and_the_imports_in_use(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("from wit_world.imports import i2c")
    added = least_world.contract(WIT, "sensor-plugin", [file]).removeprefix(WIT)
    assert [line.strip() for line in added.split("\n") if line.strip()] == [
        "world least {",
        "import i2c;",
        "export sensor-logic;",
        "}",
    ]


def test_an_open_import_keeps_the_whole_world(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("import wit_world")
    added = least_world.contract(WIT, "dht22-plugin", [file]).removeprefix(WIT)
    assert added.count("import ") == 4


def test_an_unknown_world_names_those_that_exist() -> None:
    with pytest.raises(BuildError, match=r"found 'dht23-plugin', expected one of .*dht22-plugin"):
        least_world.contract(WIT, "dht23-plugin", [])


def test_a_syntax_error_points_at_the_authors_line(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("import json\nclass :\n")
    with pytest.raises(BuildError, match=f"{file}:2: "):
        least_world.used_interfaces([file])
