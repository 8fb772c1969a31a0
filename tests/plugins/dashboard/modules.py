"""The dashboard plugin's modules, imported into CPython under the names of the component."""

import sys

from tests.support import PROJECT

sys.path.insert(0, str(PROJECT / "plugins" / "shared"))
sys.path.insert(0, str(PROJECT / "plugins" / "dashboard"))

from dashboard import fields, markup
from dashboard.document import render

# The modules that plugins share have names of one word.
del sys.path[:2]

__all__ = ["fields", "markup", "render"]
