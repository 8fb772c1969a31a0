"""The dashboard plugin's modules, imported into CPython under the names of the component."""

import sys

from tests.support import PROJECT

sys.path.insert(0, str(PROJECT / "plugins" / "dashboard"))

from dashboard import fields, markup
from dashboard.document import render

__all__ = ["fields", "markup", "render"]
