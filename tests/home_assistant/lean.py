"""Runs Home Assistant with what its configuration names: no frontend, recorder or cloud.

A program of its own, for the interpreter of Home Assistant: it imports nothing of this project.
"""

import contextvars
import sys
import types

_cloud, _remote = types.ModuleType("hass_nabucasa"), types.ModuleType("hass_nabucasa.remote")
_remote.is_cloud_request = contextvars.ContextVar(  # type: ignore[attr-defined]
    "is_cloud_request", default=False
)
_cloud.remote = _remote  # type: ignore[attr-defined]
sys.modules.update({"hass_nabucasa": _cloud, "hass_nabucasa.remote": _remote})

from homeassistant import bootstrap  # type: ignore[import-not-found]  # noqa: E402 - as above

for _names in ("DEFAULT_INTEGRATIONS", "DEFAULT_INTEGRATIONS_RECOVERY_MODE"):
    getattr(bootstrap, _names).clear()
bootstrap.CRITICAL_INTEGRATIONS.clear()

from homeassistant.__main__ import main  # type: ignore[import-not-found]  # noqa: E402 - as above

sys.exit(main())
