"""Descriptions of the service's values: those of the plugins that measure the same, and of pings.

The plugins' `plugin.toml` come with the program; their components are not needed.
"""

import logging

import msgspec

from bus.contract import band_limits
from bus.contract.band_limits import AuthoredField
from bus.contract.bounds import FieldName, Word
from bus.contract.description import (
    Band,
    FieldDescription,
    Fields,
    PluginDescription,
    Settings,
)
from bus.files import toml_text
from bus.install import assets

logger = logging.getLogger(__name__)

PING: Fields = {
    "up": FieldDescription(
        label="Answers",
        quantity="connectivity",
        bands=[Band(0, tone="bad"), Band(None, tone="good")],
        words=["no", "yes"],
    ),
    "rtt_ms": FieldDescription(label="Round trip", unit="ms", quantity="duration", decimals=1),
    "host": FieldDescription(label="Host"),
}


class _Manifest(msgspec.Struct, frozen=True):
    version: Word = ""
    fields: dict[FieldName, AuthoredField] = {}
    settings: Settings = {}


def of_plugin(name: str) -> PluginDescription:
    """Return what a shipped plugin says; nothing where its file is missing or damaged."""
    path = assets.root() / "plugins" / name / "plugin.toml"
    try:
        said = msgspec.convert(toml_text.parse(path.read_bytes()), _Manifest)
        described = band_limits.described(said.fields, said.settings)
        return PluginDescription(version=said.version, fields=described, settings=said.settings)
    except (OSError, ValueError, LookupError, RecursionError) as e:
        logger.warning("%s: %s; the values are not described", path, e)
        return PluginDescription()
