"""Save, reload, see the reading: the whole loop in a process of its own."""

import shutil
import threading
from pathlib import Path

import pytest

from tests.support import Service

# A build and a compilation on a machine that does other things, too.
WAIT_S = 120.0


def wait_for(service: Service, text: str, *, after: int = 0) -> int:
    """Wait until the service printed `text` after so many characters; return where that ends."""
    waiting = threading.Event()
    for _ in range(int(WAIT_S / 0.05)):
        place = service.output().find(text, after)
        if place >= 0:
            return place + len(text)
        assert service.process.poll() is None, service.output()
        waiting.wait(0.05)
    raise AssertionError(f"{text!r} not printed; printed {service.output()[after:]}")


@pytest.mark.timeout(300)
def test_what_is_saved_runs_and_what_is_broken_leaves_the_old_one_running(
    author_project: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(author_project, project, symlinks=True)
    app = project / "plugins" / "my-gpio" / "app.py"
    arguments = ["--project", str(project), "plugins", "dev", "my-gpio", "--interval", "0.1"]
    with Service("harvester.cli", arguments, tmp_path / "dev.log") as dev:
        # The grants are read again whenever the configuration is saved.
        place = wait_for(dev, "not granted: add leds = [its LEDs] to [plugins.grants.my-gpio]")
        config = project / "config" / "spoke.toml"
        config.write_text(f"{config.read_text()}\n[plugins.grants.my-gpio]\ngpio = [4]\nleds = [4]")
        place = wait_for(dev, "  reading  my-gpio: temperature", after=place)

        good = app.read_text()
        app.write_text(good.replace("def poll(self)", "def poll(self"))
        line = good[: good.index("def poll(self)")].count("\n") + 1
        place = wait_for(dev, f'  File "{app}", line {line}\n', after=place)
        place = wait_for(dev, "                  ^^\n", after=place)
        place = wait_for(dev, f"SyntaxError: invalid syntax (app.py:{line})\n", after=place)
        place = wait_for(dev, "the old one runs on\n", after=place)
        place = wait_for(dev, "  reading  my-gpio: temperature", after=place)

        app.write_text(good.replace('"my-gpio"', '"better"'))
        place = wait_for(dev, "loaded ", after=place)
        place = wait_for(dev, "  call     gpio_provider.read_dht22(4) -> (", after=place)
        place = wait_for(dev, "  reading  better: temperature", after=place)
        wait_for(dev, "  took     ", after=place)
        assert dev.stop() == 0
        assert dev.output().endswith("stopped\n")


@pytest.mark.timeout(300)
def test_a_simulated_chip_that_is_saved_takes_effect_without_a_build(
    author_project: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(author_project, project, symlinks=True)
    folder = project / "plugins" / "my-i2c"
    chip = folder / "simulated.py"
    options = ["--grant-all", "--interval", "0.1"]
    arguments = ["--project", str(project), "plugins", "dev", "my-i2c", *options]
    with Service("harvester.cli", arguments, tmp_path / "dev.log") as dev:
        place = wait_for(dev, "  reading  my-i2c: temperature 2")
        good = chip.read_text()
        chip.write_text(good.replace("temperature_c = 21.0", "temperature_c = -7.0"))
        place = wait_for(dev, "the simulation begins anew\n", after=place)
        place = wait_for(dev, "  reading  my-i2c: temperature -7.", after=place)

        chip.write_text(good.replace("def transfer(", "def transfer"))
        place = wait_for(dev, f"{chip}:", after=place)
        place = wait_for(dev, "  err      no answer at i2c-1 0x44", after=place)

        chip.write_text(good)
        (folder / "scenario.toml").write_text("[chips.my-i2c]\ntemperature = 3\n")
        place = wait_for(dev, "chips.my-i2c.temperature: found an unknown key", after=place)
        (folder / "scenario.toml").write_text("[chips.my-i2c]\ntemperature_c = 3.5\n")
        wait_for(dev, "  reading  my-i2c: temperature 3.5", after=place)
        assert "building" not in dev.output()
        assert dev.stop() == 0
