"""Reports of plugins that are published at intervals: their costs, and their shadow runs."""

import time
from collections.abc import Sequence

from bus.client.node import NodeBus
from bus.contract.bounds import MAX_PLUGINS
from bus.contract.messages import Costs
from bus.contract.topics import TopicKind
from node_agent.plugins.runner import PluginRunner
from node_agent.sandbox.memory import linear

# Plugins' costs change with each poll; an interval of them is enough for people and Prometheus.
_FIRST_COSTS_S = 5.0
_COSTS_EVERY_S = 30.0
_SHADOWS_EVERY_S = 5.0


class PluginReports:
    """The reports of a node's plugins. The cycle's thread calls it."""

    def __init__(self, bus: NodeBus, runners: Sequence[PluginRunner]) -> None:
        self._bus = bus
        self._runners = runners
        # Plugins with a report of a shadow run on the bus.
        self._shadowed: set[str] = set()
        self._shadows_due_s = 0.0
        self._costs_due_s = time.monotonic() + _FIRST_COSTS_S

    def publish_due(self, now_s: float) -> None:
        self._publish_costs(now_s)
        self.publish_shadows(now_s)

    def publish_shadows(self, now_s: float, *, again: bool = False) -> None:
        """Publish what polls in the shadow of a plugin; empty the topic of one that is over."""
        is_due = again or now_s >= self._shadows_due_s
        if is_due:
            self._shadows_due_s = now_s + _SHADOWS_EVERY_S
        for runner in self._runners:
            report = runner.shadow_report()
            if report is not None:
                if not is_due:
                    continue
                self._bus.publish(TopicKind.SHADOW, report, runner.name)
                self._shadowed.add(runner.name)
            elif again or runner.name in self._shadowed:
                self._bus.clear(TopicKind.SHADOW, runner.name)
                self._shadowed.discard(runner.name)

    def _publish_costs(self, now_s: float) -> None:
        if now_s < self._costs_due_s or not self._runners:
            return
        self._costs_due_s = now_s + _COSTS_EVERY_S
        sizes = linear.sizes()
        costs = {runner.name: runner.cost(sizes) for runner in self._runners[:MAX_PLUGINS]}
        self._bus.publish(TopicKind.COSTS, Costs(costs))
