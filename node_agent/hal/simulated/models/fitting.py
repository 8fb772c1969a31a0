"""Chips of the enabled plugins on one simulated board: found, checked, and put in their places."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.install import assets
from node_agent.hal.simulated import scenario_file
from node_agent.hal.simulated.models import values
from node_agent.hal.simulated.models.load import FILE_NAME, ModelClass, load
from node_agent.hal.simulated.models.running import RunningModel, Spot
from node_agent.hal.simulated.scenario import Scenario

logger = logging.getLogger(__name__)


class PluginChips(msgspec.Struct, frozen=True):
    """What one plugin's `simulated.py` has; `is_whole` where nothing in it is wrong."""

    plugin: str
    chips: list[ModelClass]
    is_whole: bool = True


def find(config: Config) -> list[PluginChips]:
    """Load the `simulated.py` of each enabled plugin that has one; log what is wrong with it."""
    found = []
    for plugin in config.plugins.enabled:
        folder = assets.plugin_folder(config.plugins.directory, plugin)
        file = folder.resolve() / FILE_NAME
        if file.is_file():
            loaded = load(file)
            for problem in loaded.problems:
                logger.error("%s; this simulated chip does not answer", problem)
            found.append(PluginChips(plugin, loaded.chips, not loaded.problems))
    return found


def check_keys(config: Config, scenario: Scenario, found: Sequence[PluginChips]) -> None:
    """Raise MisconfiguredError where the scenario sets what a plugin's chips do not have.

    A plugin that this node does not run is passed over, so that one scenario serves all nodes.
    """
    by_plugin = {one.plugin: one for one in found}
    for plugin, table in scenario.chips.items():
        one = by_plugin.get(plugin)
        if plugin not in config.plugins.enabled or (one is not None and not one.is_whole):
            continue
        line = (
            values.first_wrong_key(plugin, table, one.chips)
            if one is not None
            else f"chips.{plugin}: found a table, but that plugin's folder has no {FILE_NAME}"
        )
        if line:
            raise MisconfiguredError(f"{scenario_file.called(config.hardware.scenario)}: {line}")


def fit(
    found: Sequence[PluginChips],
    scenario: Scenario,
    clock: Callable[[], float],
    places: Mapping[str, str],
) -> dict[str, RunningModel]:
    """Return the chips by their place: `0x23`, `spi` or `uart`.

    `places` has the names of the buses in errors. Of two chips in one place the second is left out.
    """
    fitted: dict[str, RunningModel] = {}
    for plugin, chip, place in _each(found):
        if place in fitted:
            logger.error(
                "%s: %s: %s is taken by the chip of another class; left out",
                *(chip.file, chip.name, place),
            )
            continue
        fitted[place] = RunningModel(
            chip,
            _spot(plugin, place, places[chip.bus]),
            values.values_of(scenario.chips.get(plugin, {}), chip, place),
            scenario,
            clock,
        )
    return fitted


def _each(found: Sequence[PluginChips]) -> Iterator[tuple[str, ModelClass, str]]:
    for one in found:
        for chip in one.chips:
            for place in chip.places:
                yield one.plugin, chip, place


def _spot(plugin: str, place: str, bus: str) -> Spot:
    device = f"{plugin}-{place}"
    is_address = place.startswith("0x")
    return Spot(device, f"{bus} {place}", int(place, 16)) if is_address else Spot(device, bus)
