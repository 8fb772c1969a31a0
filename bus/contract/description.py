"""Descriptions: what a plugin's author says of its values and settings, and a node of itself.

The same types are read from `plugin.toml`, embedded in the component, and published on the bus.
Every text is empty, and every number absent, where nothing is known.
"""

from typing import Annotated, Literal

import msgspec

from bus.contract.bounds import (
    MAX_FIELDS,
    FieldName,
    IntervalSeconds,
    Line,
    Name,
    Number,
    Sha256,
    Word,
)

MAX_BANDS = 16
MAX_CHOICES = 32
MAX_SETTINGS = 64
# Of one plugin, with settings of their own.
MAX_SET_SENSORS = 64

# How a band looks on the page; each is a colour of the style sheet.
Tone = Literal["", "muted", "good", "fair", "mild", "warm", "bad"]
SettingType = Literal["number", "integer", "text", "choice", "switch"]
# Whether one value holds for the whole plugin, or each of its sensors may have its own.
SettingScope = Literal["plugin", "sensor"]
SettingKind = Literal["", "led"]
SettingValue = Number | Annotated[str, msgspec.Meta(max_length=256)] | bool
Decimals = Annotated[int, msgspec.Meta(ge=0, le=6)]


class Band(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Word and tone of the values up to and including `to`, or of those below `below`.

    Without either, of all above. `setting` is the setting of the plugin that the limit follows.
    """

    to: Number | None = None
    word: Word = ""
    tone: Tone = ""
    below: Number | None = None
    setting: FieldName | None = None

    @property
    def limit(self) -> float | None:
        return self.to if self.below is None else self.below


class FieldDescription(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Meaning of one value of a reading.

    `quantity` is Home Assistant's `device_class` where there is one. `range` holds the least and
    the greatest value that can be measured. `words` are the texts of the values 0, 1, 2 ..., or of
    false and true. `bar` is the value, or the field, that fills a bar. While the field that
    `pending` names is 0, this value is not valid yet, and `pending_word` is shown. `duration` marks
    a number of seconds that is shown as days, hours and minutes.
    """

    label: Word = ""
    unit: Word = ""
    quantity: Word = ""
    decimals: Decimals | None = None
    range: tuple[Number, Number] | None = None
    bands: Annotated[list[Band], msgspec.Meta(max_length=MAX_BANDS)] = []
    words: Annotated[list[Word], msgspec.Meta(max_length=MAX_BANDS)] = []
    bar: Number | FieldName | None = None
    pending: FieldName | None = None
    pending_word: Word = ""
    duration: bool = False


Fields = Annotated[dict[FieldName, FieldDescription], msgspec.Meta(max_length=MAX_FIELDS)]


class SettingDescription(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Meaning of one setting of a plugin. `choices` are the values of a setting of type choice.

    A setting whose `scope` is `sensor` may have another value for each sensor of the plugin. One
    whose `kind` is `led` is the index of an LED, negative for none.
    """

    type: SettingType
    default: SettingValue
    label: Word = ""
    unit: Word = ""
    min: Number | None = None
    max: Number | None = None
    choices: Annotated[list[Word], msgspec.Meta(max_length=MAX_CHOICES)] = []
    scope: SettingScope = "plugin"
    kind: SettingKind = ""


Settings = Annotated[dict[FieldName, SettingDescription], msgspec.Meta(max_length=MAX_SETTINGS)]

SettingValues = Annotated[dict[FieldName, SettingValue], msgspec.Meta(max_length=MAX_SETTINGS)]
# Values of single sensors, by the sensors' ids.
SensorSettings = Annotated[dict[Name, SettingValues], msgspec.Meta(max_length=MAX_SET_SENSORS)]


class PluginDescription(msgspec.Struct, frozen=True, omit_defaults=True):
    """Description of a plugin by its author, as the component carries it.

    `fields` are in the order of a card; the first is the main value. They describe every sensor of
    the plugin.
    """

    title: Word = ""
    version: Word = ""
    author: Word = ""
    fields: Fields = {}
    settings: Settings = {}


class SensorDescription(msgspec.Struct, frozen=True, gc=False):
    """Description of a sensor as it stands: the author's words, the node's names."""

    plugin: Word
    title: Word
    area: Word
    interval_s: IntervalSeconds
    fields: Fields


class About(msgspec.Struct, frozen=True, gc=False):
    """Description of a node: its names, its machine, and the commands of its actuators.

    `versions` has the version of each program and library by name. `bundle_key` is the hub's key
    for bundles that the node trusts; without one, `no_bundles` says why it takes none. So do
    `component_key` and `no_components` for components.
    """

    title: Word
    area: Word
    model: Word
    os: Word
    arch: Word
    address: Word
    versions: Annotated[dict[Word, Word], msgspec.Meta(max_length=16)]
    actuators: Annotated[
        dict[Name, Annotated[list[Word], msgspec.Meta(max_length=32)]], msgspec.Meta(max_length=16)
    ]
    bundle_key: Sha256 = ""
    no_bundles: Line = ""
    component_key: Sha256 = ""
    no_components: Line = ""
