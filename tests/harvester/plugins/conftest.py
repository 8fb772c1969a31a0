"""A project of an author who just began: one plugin of each kind, and one that goes wrong."""

import shutil
from pathlib import Path

import pytest

from harvester.cli import main
from harvester.plugins.new import KINDS
from harvester.plugins.project import CACHE
from tests import built_components
from tests.support import PROJECT

# Its polls: a reading and a beep, a reading that is none, an exception in its second file.
FAULTY = """from driver import resistance
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import buzzer_controller, gpio_provider, led_controller, plugin_state


class SensorLogic(exports.SensorLogic):
    def poll(self):
        count = int(plugin_state.get("count") or 0) + 1
        plugin_state.set("count", str(count))
        print(f"poll number {count}")
        led_controller.set_led(9, 1, 2, count)
        if count == 1:
            buzzer_controller.buzz(10)
        values = [("resistance", resistance(3 - count))]
        return [Reading("no name" if count == 2 else "faulty", 1, values)]
"""
FAULTY_DRIVER = """def resistance(ampere):
    return 5 / ampere
"""


@pytest.fixture(scope="session")
def author_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose plugins are packed: one a kind, called after it, and `faulty`."""
    project = tmp_path_factory.mktemp("author")
    for folder in ("wit", "config"):
        shutil.copytree(PROJECT / folder, project / folder)
    for kind in KINDS:
        main(["--project", str(project), "plugins", "new", f"my-{kind}", "--kind", kind])
    shutil.copy(PROJECT / "plugins" / "conftest.py", project / "plugins")
    faulty = project / "plugins" / "faulty"
    faulty.mkdir()
    (faulty / "plugin.toml").write_text('world = "sensor-plugin"\n')
    (faulty / "app.py").write_text(FAULTY)
    (faulty / "driver.py").write_text(FAULTY_DRIVER)
    built_components.packed(project / "plugins")
    (project / CACHE).parent.mkdir(mode=0o700)
    (project / CACHE).symlink_to(built_components.CACHE)
    return project
