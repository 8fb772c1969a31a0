"""Errors of plugins. Their messages become the plugin's state on the bus."""

from bus.errors import MisconfiguredError, UnavailableError


class PluginError(UnavailableError):
    """A plugin failed; its instance is gone and a fresh one may work.

    `traceback` is the guest's own, where there is one.
    """

    traceback = ""


class PluginTimeoutError(PluginError):
    """A call took longer than its deadline and was cut off."""


class GuestStopError(PluginError):
    """A host function ends the guest's call: the only error that one may raise."""


class ComponentError(PluginError):
    """A file is not a component that this host can run; only another file can help."""


class StaleError(ComponentError):
    """A compiled file was made by another build of wasmtime: it must be compiled again."""


class CacheError(MisconfiguredError):
    """The directory of compiled components cannot be trusted."""
