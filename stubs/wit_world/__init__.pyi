# Written by `harvester plugins stubs` from wit/plugin.wit.

from typing import Protocol

class WitWorld(Protocol): ...
