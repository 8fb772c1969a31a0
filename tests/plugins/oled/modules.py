"""The OLED plugin's modules, imported into CPython under the names of the component."""

import sys

from tests.support import PROJECT

sys.path.insert(0, str(PROJECT / "plugins" / "shared"))
sys.path.insert(0, str(PROJECT / "plugins" / "oled"))

from oled import font, layout, line_choice, options, screen, value_text

# The driver beside them has a name that other plugins' drivers have, too.
del sys.path[:2]

__all__ = ["font", "layout", "line_choice", "options", "screen", "value_text"]
