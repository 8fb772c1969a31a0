"""Deliverer of plugins in a running hub: follows rollouts, publishes signed bundles to nodes."""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from broker.auth import bundle_key
from bus.clock import now_ms
from bus.config.hub_files import HubFiles
from bus.contract.messages import DeliveryState, SignedBundle, encode
from bus.contract.plugin_file import order
from bus.contract.plugin_file.order import BundleOrder
from bus.contract.topics import Topic, TopicKind
from bus.errors import HarvesterError, MisconfiguredError
from bus.fault import Fault
from bus.files.file_stamp import FileStamp, stamp_of
from hub_app.http.slices import sliced
from hub_app.hub import Hub
from hub_app.live.state import State
from hub_app.nodes.delivery import wanted as deliveries
from hub_app.nodes.delivery.component_host import ComponentHost
from hub_app.nodes.delivery.delivery_files import DeliveryFiles
from hub_app.nodes.delivery.node_now import node_now
from hub_app.nodes.delivery.rollout import FETCHING, NodeNow, Rollout, Target
from hub_app.nodes.delivery.wanted import Deliveries, Wanted

logger = logging.getLogger(__name__)

# Nodes that are looked at in one run, which get bundles of some 200 KB each at most.
_MOST_AT_ONCE = 100

_NO_HOST = ComponentHost()

Sign = Callable[[bytes], bytes]


class Deliverer:
    """The deliveries of one hub, on the event loop; files are read and written in threads."""

    def __init__(
        self,
        files: HubFiles,
        hub: Hub,
        is_gone: Callable[[str], bool] = lambda _node: False,
        components: ComponentHost = _NO_HOST,
    ) -> None:
        """`components` is where nodes fetch them."""
        self._components = components
        self.files = DeliveryFiles(files.state_dir)
        # Workers of one broker sign with one key.
        self._key_dir = files.login_dir
        self._hub = hub
        self._is_gone = is_gone
        self._stamp: FileStamp = None
        self._found = Deliveries()
        self._sign: Sign | None = None
        self._key = ""
        # What was published, by node and plugin: the release, and since when the node was there.
        self._published: dict[tuple[str, str], tuple[int, int]] = {}
        # The releases that nodes have told of: nothing is to be sent.
        self._told: dict[tuple[str, str], int] = {}
        self._fault = Fault("deliveries of plugins")
        self._is_serving = False
        self._running = asyncio.Lock()

    @property
    def state(self) -> State:
        return self._hub.state

    @property
    def found(self) -> Deliveries:
        """What is wanted, and the last rollouts."""
        return self._found

    @property
    def fault(self) -> str:
        return self._fault.reason

    @property
    def is_serving(self) -> bool:
        """Whether a node may fetch a component now."""
        return self._is_serving

    def component(self, node: str, digest: str) -> Path | None:
        """Return the path of a component that is wanted at a node, None for another."""
        if not deliveries.component_at(self._found, node, digest):
            return None
        return self.files.component(digest)

    async def run(self) -> None:
        """Do what is due, once a second; a command does not wait for that."""
        async with self._running:
            try:
                await self._refresh()
                if self._found != Deliveries():
                    await self._step()
                    # Before a node is told, so that the port is open when it comes.
                    self._is_serving = await self._has_fetching()
                    await self._publish_due()
            except HarvesterError as e:
                self._fault.failed(str(e))
            else:
                self._fault.worked()

    async def start(self, made: Rollout) -> None:
        """Begin a rollout. Raises MisconfiguredError."""
        for name in (*made.nodes, *([made.canary] if made.canary else [])):
            if not self._hub.state.has_node(name):
                raise MisconfiguredError(
                    f"found {name!r}, expected nodes of this hub: "
                    f"{', '.join(self._hub.state.nodes) or 'none yet'}"
                )
        await asyncio.to_thread(self.files.start, made)
        await self.run()

    async def _refresh(self) -> None:
        stamp = stamp_of(self.files.path)
        if stamp != self._stamp:
            self._found = await asyncio.to_thread(self.files.load)
            self._stamp = stamp
        if not self._key and self._found != Deliveries():
            self._key = await asyncio.to_thread(bundle_key.ensure, self._key_dir)

    async def _step(self) -> None:
        before = self._found
        gone = {name for name in before.wanted if self._is_gone(name)}
        running = [one for one in before.rollouts.values() if not one.is_over]
        if not running and not gone:
            return
        nodes = self._nodes_of(running)
        missing = await asyncio.to_thread(self.files.missing, before.digests())
        left = deliveries.without_nodes(before, gone)
        stepped = deliveries.step(left, nodes, now_ms(), missing)
        if stepped == before:
            return
        for plugin, rollout in stepped.rollouts.items():
            if rollout.stopped and not before.rollouts[plugin].stopped:
                logger.error("the rollout of %s stops: %s", plugin, rollout.stopped)
        # Somebody may have begun another rollout meanwhile: then this is done again. The next run
        # reads the file once more, as a command may change it as soon as it was saved.
        self._found = await asyncio.to_thread(
            self.files.change, lambda found: stepped if found == before else found
        )
        await asyncio.to_thread(self.files.remove_unneeded, self._found.digests())

    def _nodes_of(self, running: list[Rollout]) -> dict[str, NodeNow]:
        """Return the nodes that rollouts are about, as they are now: all where one looks for them.

        A hub may have thousands.
        """
        looks = any(not one.nodes for one in running)
        names = self._hub.state.nodes if looks else {name for one in running for name in one.nodes}
        return {
            name: node_now(self._hub.state, name, self._key, self._components.obstacle)
            for name in names
            if self._hub.state.has_node(name)
        }

    async def _publish_due(self) -> None:
        """Publish what nodes have not told of yet: once, and again when they have come back."""
        possible = (
            (node, plugin, wanted)
            for node, plugins in self._found.wanted.items()
            for plugin, wanted in plugins.items()
            if self._may_be_due(node, plugin, wanted.release)
        )
        looked_at = list(islice(possible, _MOST_AT_ONCE))
        problem = None
        for node, plugin, wanted in looked_at:
            if self._has_told(node, plugin, wanted.release):
                continue
            try:
                await self._publish(Topic(node, TopicKind.BUNDLE, plugin), wanted)
            except MisconfiguredError as e:
                # A bundle that is lost keeps no other one from its node.
                problem = e
        if problem is not None:
            raise problem

    async def _has_fetching(self) -> bool:
        """Return whether a node that is there has a component to fetch; looks in slices."""
        components = (
            (node, plugin, wanted.release)
            for node, plugins in self._found.wanted.items()
            for plugin, wanted in plugins.items()
            if wanted.target.form == "component"
        )
        return any([self._is_fetching(*each) async for each in sliced(components)])

    def _is_fetching(self, node: str, plugin: str, release: int) -> bool:
        if not self._here_since(node):
            return False
        told = self._hub.state.value(Topic(node, TopicKind.DELIVERY, plugin))
        has_refused = deliveries.has_refused(self._found, node, plugin, release)
        return _fetches(told, release, has_refused=has_refused)

    def _may_be_due(self, node: str, plugin: str, release: int) -> bool:
        key = (node, plugin)
        if self._told.get(key) == release:
            return False
        return self._published.get(key) != (release, self._here_since(node))

    def _has_told(self, node: str, plugin: str, release: int) -> bool:
        told = self._hub.state.value(Topic(node, TopicKind.DELIVERY, plugin))
        if told is None or told.release < release:
            return False
        self._told[node, plugin] = release
        return True

    async def _publish(self, topic: Topic, wanted: Wanted) -> None:
        message = await asyncio.to_thread(self._signed, topic, wanted)
        if self._hub.bus.publish_payload(topic, encode(message)) is None:
            # There is no connection: the next run tries again.
            return
        logger.info("%s: version %s sent", topic, wanted.target.version or "of the node's own file")
        key = (topic.node, topic.name)
        self._published[key] = (wanted.release, self._here_since(topic.node))

    def _signed(self, topic: Topic, wanted: Wanted) -> SignedBundle:
        if self._sign is None:
            # It takes 7 MB, which a hub that deploys no plugin saves.
            from broker.auth import bundle_signer  # noqa: PLC0415

            self._sign = bundle_signer.load(self._key_dir).sign
        target = wanted.target
        content = self._content(target)
        is_component = target.form == "component"
        text = order.encode(
            BundleOrder(
                node=topic.node,
                plugin=topic.name,
                release=wanted.release,
                sha256=target.sha256,
                world=target.world,
                version=target.version,
                probation=target.probation,
                # The release is at least the time; the same order is signed again later.
                issued_ms=wanted.release,
                shadow=target.is_shadow,
                form=target.form,
                size_bytes=target.size_bytes,
                contract=target.contract,
                port=self._components.port if is_component else 0,
                host=self._components.host() if is_component else "",
            )
        )
        return SignedBundle(text, self._sign(order.signed_bytes(text)), content)

    def _content(self, target: Target) -> bytes:
        """Return what is sent with the order: a bundle; a component is fetched."""
        if target.form == "component":
            self.files.check_component(target.sha256, target.size_bytes)
            return b""
        return self.files.bundle(target.sha256) if target.sha256 else b""

    def _here_since(self, node: str) -> int:
        if not self._hub.state.has_node(node):
            return 0
        status = self._hub.state.presence(node).view.status
        return status.since_ms if status is not None and status.state == "online" else 0


def _fetches(told: DeliveryState | None, release: int, *, has_refused: bool) -> bool:
    """Whether a node, by what it told, has or will have something of an order to fetch."""
    if told is not None and told.release >= release:
        return told.phase == FETCHING
    # A release is at least the time of its order, unless the node's clock is behind.
    return not has_refused and (told is None or told.refused_ms < release)
