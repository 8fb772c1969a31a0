"""What can go wrong with a plugin. The messages become the plugin's state on the bus."""

from bus.errors import MisconfiguredError, UnavailableError


class PluginError(UnavailableError):
    """A plugin failed; its instance is gone and a fresh one may work."""


class PluginTimeoutError(PluginError):
    """A call took longer than its deadline and was cut off."""


class ComponentError(PluginError):
    """A file is no component that this host can run; it stays so until the file changes."""


class StaleError(ComponentError):
    """A compiled file is of another build of wasmtime: it must be made anew."""


class CacheError(MisconfiguredError):
    """The directory of compiled components cannot be trusted."""
