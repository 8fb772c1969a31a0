"""Shadow run of a delivered version: begins and ends with the hub's order."""

import logging

from bus.contract.messages import ShadowReport
from node_agent.delivery.plugin_delivery import PluginDelivery
from node_agent.plugins.thread import PluginParts, PluginThread
from node_agent.recorder.shadow import Shadow

logger = logging.getLogger(__name__)

_NO_RECORDER = "it sees no polls: plugins.record_kb is 0, so that there is no flight recorder"


class ShadowRun:
    """The version that only polls beside the running one. The cycle's thread calls it."""

    def __init__(self, parts: PluginParts, delivery: PluginDelivery) -> None:
        self._parts = parts
        self._delivery = delivery
        self._shadow: Shadow | None = None

    def report(self) -> ShadowReport | None:
        """Return what to tell of it, None where none runs."""
        return self._shadow.report() if self._shadow is not None else None

    def follow(self, running: PluginThread | None, *, is_enabled: bool) -> None:
        """Start or end it; let it see the polls of the running version."""
        path = self._delivery.shadowed() if is_enabled else None
        if self._shadow is not None and self._shadow.path != path:
            self.stop()
        if path is not None and self._shadow is None:
            name, parts = self._parts.name, self._parts
            logger.info("plugin %s: %s runs in its shadow", name, path.name)
            obstacle = "" if parts.flight is not None else _NO_RECORDER
            self._shadow = Shadow(name, parts.runtime, path, parts.refusal, obstacle)
            self._shadow.start()
        if self._shadow is not None:
            self._delivery.shadow_polled(self._shadow.costs.polls)
        if running is not None:
            running.shadow = self._shadow

    def stop(self, timeout_s: float = 0.0) -> None:
        """End it after its poll; wait up to `timeout_s` for that."""
        if self._shadow is not None:
            self._shadow.stop(timeout_s)
            self._shadow = None
