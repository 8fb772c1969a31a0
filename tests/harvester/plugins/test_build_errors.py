"""What an author reads when a plugin does not build: one line that points at the mistake."""

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import pytest

from harvester.cli import main
from harvester.errors import BuildError
from harvester.plugins import manifest
from harvester.plugins.builder import contract
from harvester.plugins.builder import errors as build_errors
from harvester.plugins.builder.checks import source_check
from harvester.plugins.manifest import Manifest
from harvester.plugins.source import PluginSource
from tests.support import PROJECT

WIT = PROJECT / "wit" / "plugin.wit"
CONTRACT = contract.read(WIT.read_text())
HEAD = """from wit_world import exports
from wit_world.imports import gpio_provider
"""
CLASS = """
class SensorLogic(exports.SensorLogic):
    def poll(self):
        return []
"""
WRONG = {
    "name": HEAD + "LIMIT = undefined_thing\n" + CLASS,
    "module": HEAD + "import driver\n" + CLASS,
    "early": HEAD + "NOW_MS = gpio_provider.get_timestamp_ms()\n" + CLASS,
    # Its own module `queue` is found, or the build would fail at the first line.
    "later": "from queue import OWN\n" + HEAD + CLASS + "\ndef later():\n    import ssl\n",
}
OLD = b"the component of an earlier build"

# Four real builds, each of half a minute on a machine that does other things, too.
pytestmark = pytest.mark.timeout(300)


class FailedBuild(NamedTuple):
    """A failed `harvester plugins build`: its plugins, exit code and standard error."""

    plugins: Path
    exit_code: object
    lines: list[str]

    def line_of(self, name: str) -> str:
        (line,) = (line for line in self.lines if line.startswith(f"{name}/"))
        return line


def plugin(directory: Path, app: str, world: str = "sensor-plugin") -> PluginSource:
    (directory / "app.py").write_text(app)
    (directory / "plugin.toml").write_text(f'world = "{world}"\n')
    return PluginSource(directory, Manifest(world))


def problem(directory: Path, app: str, world: str = "sensor-plugin") -> str:
    with pytest.raises(BuildError) as raised:
        source_check.check(plugin(directory, app, world), CONTRACT)
    return str(raised.value).replace(f"{directory}/", "")


def test_the_contract_is_read_by_name() -> None:
    assert CONTRACT.worlds["oled-plugin"] == contract.World(["i2c", "settings"], ["oled-logic"])
    assert CONTRACT.functions["plugin-state"] == ["get", "set"]
    assert contract.class_name("pi-monitor-logic") == "PiMonitorLogic"


def test_a_plugin_without_mistakes_passes(tmp_path: Path) -> None:
    source_check.check(plugin(tmp_path, HEAD + CLASS), CONTRACT)


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("x = 1\nclass :\n", "app.py:2: invalid syntax"),
        (
            HEAD + CLASS.replace("SensorLogic(", "Sensor("),
            (
                "app.py:4: found Sensor on line 4, expected class SensorLogic, which exports "
                "sensor-logic"
            ),
        ),
        (
            HEAD + "def poll():\n    return []\n",
            "app.py:1: found no class, expected class SensorLogic, which exports sensor-logic",
        ),
        (HEAD + CLASS.replace("poll", "read"), "app.py:4: class SensorLogic has no poll()"),
        (
            HEAD + "from wit_world.imports import bluetooth" + CLASS,
            (
                "app.py:3: the plugin's world has no wit_world.imports.bluetooth; "
                "expected one of "
                "buzzer_controller, events, fan_controller, gpio, gpio_provider, i2c, "
                "led_controller, plugin_state, readings, settings, spi, system_info, uart"
            ),
        ),
        (
            HEAD + "from wit_world.exports.dht22_logic import Dht22Reading" + CLASS,
            (
                "app.py:3: the plugin's world has no wit_world.exports.dht22_logic; "
                "expected one of "
                "sensor_logic"
            ),
        ),
    ],
)
def test_a_mistake_in_the_source_is_a_line_with_its_place_and_a_caret_below(
    tmp_path: Path, app: str, said: str
) -> None:
    sentence, *shown = problem(tmp_path, app).split("\n")
    assert sentence == said
    if "found no class" in said:
        assert shown == []
        return
    line, caret = shown
    assert line.strip() in app
    assert caret.strip("^ ") == ""
    assert "^" in caret


def asking(call: str) -> str:
    return f"{HEAD}from wit_world.imports import settings\n{CLASS.replace('[]', call)}"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            'settings.get("drak_below")',
            (
                "app.py:7: settings.get: found 'drak_below', which plugin.toml does not describe, "
                "expected one of dark_below; did you mean 'dark_below'?"
            ),
        ),
        (
            'settings.get_for("light-0x23", "led")',
            (
                "app.py:7: settings.get_for: found 'led', which plugin.toml does not describe, "
                "expected one of dark_below"
            ),
        ),
    ],
)
def test_a_setting_that_is_not_described_is_named_with_its_line(
    tmp_path: Path, call: str, said: str
) -> None:
    (tmp_path / "app.py").write_text(asking(call))
    described = '[settings.dark_below]\ntype = "number"\ndefault = 20\n'
    (tmp_path / "plugin.toml").write_text(f'world = "sensor-plugin"\n{described}')
    source = PluginSource(tmp_path, manifest.read(tmp_path / "plugin.toml"))
    with pytest.raises(BuildError) as raised:
        source_check.check(source, CONTRACT)
    assert str(raised.value).replace(f"{tmp_path}/", "").split("\n") == [
        said,
        f"    return {call}",
        f"           {'^' * len(call)}",
    ]


def test_a_setting_of_a_plugin_that_describes_none_is_named(tmp_path: Path) -> None:
    sentence = problem(tmp_path, asking('settings.get("led")')).split("\n")[0]
    assert sentence.endswith(
        "found 'led', which plugin.toml does not describe, expected none: it has no [settings.KEY]"
    )


@pytest.mark.parametrize(
    "app",
    [
        asking("settings.get(str(self))"),
        asking("self.settings.get('led')"),
        asking("(lambda settings: settings.get('led'))({})"),
        asking("[settings.get('led') for settings in [{}]]"),
        asking("[]") + "\n\ndef read(settings):\n    return settings.get('led')\n",
        asking("[]") + "\n\ndef read():\n    settings = {}\n    return settings.get('led')\n",
        f"{HEAD}settings = {{}}\n{CLASS.replace('[]', 'settings.get(str())')}",
    ],
)
def test_a_key_that_is_computed_or_of_something_else_is_left_alone(
    tmp_path: Path, app: str
) -> None:
    source_check.check(plugin(tmp_path, app), CONTRACT)


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    app = "from wit_world.imports import i2cc\nfrom wit_world import exports\n"
    told = problem(tmp_path, app).splitlines()
    assert sum(line.startswith("app.py:") for line in told) == 2


def test_a_setting_is_named_beside_a_function_with_a_parameter_of_that_name(tmp_path: Path) -> None:
    app = asking("settings.get('led')") + "\n\ndef read(settings):\n    return settings.get('x')\n"
    (sentence,) = (line for line in problem(tmp_path, app).split("\n") if line.startswith("app.py"))
    assert sentence.startswith("app.py:7: settings.get: found 'led'")


@pytest.mark.parametrize(
    "app",
    [
        (
            "try:\n    from wit_world.imports import bluetooth\n"
            "except ImportError:\n    bluetooth = None\n"
        ),
        (
            "from contextlib import suppress\nwith suppress(ImportError):\n"
            "    from wit_world.imports import bluetooth\n"
        ),
    ],
)
def test_an_interface_of_another_contract_may_be_imported_where_its_absence_is_caught(
    tmp_path: Path, app: str
) -> None:
    source_check.check(plugin(tmp_path, app + HEAD + CLASS), CONTRACT)


@pytest.mark.parametrize(
    "app",
    [
        "from implementation import *\n",
        "from implementation import SensorLogic\n",
        "from implementation import Other as SensorLogic\n",
        "import implementation\nSensorLogic = implementation.Other\n",
        "from implementation import Base\nclass SensorLogic(Base):\n    pass\n",
        "import exports\nclass SensorLogic(exports.SensorLogic):\n    pass\n",
        "import mine.exports\nclass SensorLogic(mine.exports.SensorLogic):\n    pass\n",
        "from implementation import polled\n@polled\nclass SensorLogic:\n    pass\n",
        "from implementation import Meta\nclass SensorLogic(metaclass=Meta):\n    pass\n",
        "class SensorLogic:\n    pass\nSensorLogic.poll = lambda self: []\n",
        "class SensorLogic:\n    pass\nsetattr(SensorLogic, 'poll', lambda self: [])\n",
        "class SensorLogic:\n    def __init__(self):\n        self.poll = list\n",
        "class SensorLogic:\n    def __getattr__(self, name):\n        return list\n",
    ],
)
def test_what_may_come_from_elsewhere_is_left_to_the_build(tmp_path: Path, app: str) -> None:
    source_check.check(plugin(tmp_path, app), CONTRACT)


def test_a_world_that_does_not_exist_and_a_module_that_is_missing_are_named(tmp_path: Path) -> None:
    assert problem(tmp_path, "", "sensor").startswith("plugin.toml: world: found 'sensor'")
    (tmp_path / "app.py").unlink()
    with pytest.raises(BuildError, match=r"app\.py: not found"):
        source_check.check(PluginSource(tmp_path, Manifest("sensor-plugin")), CONTRACT)


@pytest.fixture(scope="module")
def failed_build(tmp_path_factory: pytest.TempPathFactory) -> FailedBuild:
    """Return what one real build says about mistakes that show only when the source runs."""
    root = tmp_path_factory.mktemp("wrong")
    for name, app in WRONG.items():
        directory = root / "plugins" / name
        directory.mkdir(parents=True)
        plugin(directory, app)
        (directory / f"{name}.wasm").write_bytes(OLD)
    (root / "plugins" / "module" / "driver.py").write_text("SIZE = 1\nimport numpy\n")
    (root / "plugins" / "later" / "queue.py").write_text("OWN = 1\n")
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as exited:
        main(["--project", str(root), "plugins", "build"])
    lines = errors.getvalue().replace(f"{root / 'plugins'}/", "").splitlines()
    return FailedBuild(root / "plugins", exited.value.code, lines)


def test_a_failed_build_is_one_line_for_each_plugin_and_keeps_the_old_components(
    failed_build: FailedBuild,
) -> None:
    assert failed_build.exit_code == 1
    assert sorted(line.partition("/")[0] for line in failed_build.lines) == sorted(WRONG)
    for name in WRONG:
        assert (failed_build.plugins / name / f"{name}.wasm").read_bytes() == OLD


def test_what_the_source_raises_while_it_is_built_is_a_line_with_its_place(
    failed_build: FailedBuild,
) -> None:
    assert failed_build.line_of("name") == (
        "name/app.py:3: NameError: name 'undefined_thing' is not defined"
    )
    # The innermost frame, in the author's second file.
    assert failed_build.line_of("module").startswith(
        "module/driver.py:2: ModuleNotFoundError: No module named 'numpy'; a plugin finds"
    )


def test_a_host_call_at_import_is_a_line_with_its_place(failed_build: FailedBuild) -> None:
    assert failed_build.line_of("early").startswith(
        "early/app.py:3: calls gpio_provider.get_timestamp_ms() while it is built"
    )


def test_a_module_that_a_function_imports_and_no_guest_has_is_named_with_its_line(
    failed_build: FailedBuild,
) -> None:
    number = WRONG["later"].splitlines().index("    import ssl") + 1
    assert failed_build.line_of("later").startswith(
        f"later/app.py:{number}: ModuleNotFoundError: No module named '"
    )


def test_the_compilers_own_stacks_are_left_out(tmp_path: Path) -> None:
    output = (
        'Traceback (most recent call last):\n  File "/venv/bin/componentize-py", line 6\n'
        "AssertionError: unable to add libc\n\nCaused by:\n    0: x\n\nStack backtrace:\n   0: y\n"
    )
    said = build_errors.explain(output, plugin(tmp_path, ""))
    assert said == f"{tmp_path}: unable to add libc"


def test_a_guests_traceback_names_the_authors_files(tmp_path: Path) -> None:
    source = plugin(tmp_path, "")
    shown = build_errors.authors_paths('File "/0/app.py", line 7\nFile "/1/x.py", line 1', source)
    assert shown == f'File "{tmp_path / "app.py"}", line 7\nFile "/1/x.py", line 1'
