"""Deliveries of a node: takes signed orders and bundles from the bus, verifies and keeps them.

A thread of its own verifies and waits for the disk, so that neither the bus nor the cycle does;
another one fetches components.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from bus.clock import now_ms
from bus.config.plugin_files import plugin_file
from bus.config.settings import Config
from bus.contract.messages import DeliveryState, Message, SignedBundle, decode
from bus.contract.plugin_file import order
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadDataError
from bus.fault import Fault
from bus.install.hint import install_extra
from node_agent.delivery import progress
from node_agent.delivery.component_fetcher import ComponentFetcher, Order
from node_agent.delivery.component_source import HubAddress
from node_agent.delivery.kept_bundles import KeptBundles, remove_former
from node_agent.delivery.plugin_delivery import PluginDelivery
from node_agent.delivery.progress import Progress, Version
from node_agent.sandbox import choice

logger = logging.getLogger(__name__)

_FOLDER = "bundles"
_JOIN_S = 5.0
_NOT_SAVED = "{}: {}: the bundle could not be saved; mend that at the node, then deploy it again"
# Messages that wait to be verified, some 200 KB each; the broker has them still.
MAX_WAITING = 64

Publish = Callable[[TopicKind, Message, str], bool]


class Deliveries:
    """The deliveries of a node's enabled plugins. `key` is the hub's public one, empty without one.

    Any thread may call `submit`; the rest is for the cycle's.
    """

    def __init__(
        self,
        config: Config,
        state_dir: Path,
        key: bytes,
        publish: Publish,
        hub: Callable[[], HubAddress | None] = lambda: None,
    ) -> None:
        """`hub` is where components are fetched."""
        self._config = config
        self._fetcher = ComponentFetcher(hub)
        self._key = key
        self._publish = publish
        self._published: dict[str, DeliveryState] = {}
        # Work for the thread; None ends it.
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        # Of messages alone: what the cycle wants saved never waits for room.
        self._room = threading.BoundedSemaphore(MAX_WAITING)
        # The newest message of each plugin that found no room.
        self._late: dict[Topic, bytes] = {}
        self._late_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self._fault = Fault("delivered bundles: saving")
        node, folder = config.cluster.node_id, state_dir / _FOLDER
        self._folder = folder
        remove_former(folder, config.plugins.enabled)
        self._kept = {
            name: KeptBundles(folder, Topic(node, TopicKind.BUNDLE, name), self.refusal)
            for name in config.plugins.enabled
        }
        found = {name: self._start(kept) for name, kept in self._kept.items()}
        # The newest release of each plugin; the thread's own.
        self._newest = {name: one.wanted for name, one in found.items()}
        self.of_plugin: Mapping[str, PluginDelivery] = {
            name: PluginDelivery(
                partial(plugin_file, config.plugins, name),
                kept.path,
                found[name],
                partial(self._save_later, name),
            )
            for name, kept in self._kept.items()
        }

    def __enter__(self) -> Self:
        self._thread.start()
        self._fetcher.start()
        for name, version in self._newest.items():
            if self.of_plugin[name].is_fetching(version):
                self._work.put(partial(self._fetch_again, name, version))
        return self

    def __exit__(self, *_: object) -> None:
        self._work.put(None)
        self._thread.join(_JOIN_S)
        self._fetcher.stop(_JOIN_S)

    def refusal(self, form: str) -> str:
        """Return why this node takes no files of a form, or nothing."""
        allowed = self._config.plugins.form
        if allowed not in ("auto", form):
            return f'plugins.form = "{allowed}" allows no {form}s'
        return self.obstacle

    def refusal_of_new(self, form: str) -> str:
        """Return why this node is to be sent no files of a form, or nothing.

        A component that it has may be compiled already.
        """
        found = self.refusal(form)
        return found or (choice.compiler_obstacle() if form == "component" else "")

    @property
    def obstacle(self) -> str:
        """Why this node takes nothing of the hub, or nothing."""
        if find_spec("cryptography") is None:
            return f"a library is missing; run: {install_extra('agent')}"
        if not self._key:
            return (
                "its credentials have no bundle_key; `harvester nodes update` of the hub brings it "
                "over TLS, and `harvester plugins key` prints it there"
            )
        return ""

    def submit(self, topic: Topic, payload: bytes) -> None:
        """Take a message; an empty one says nothing.

        Of those that find no room, the newest of each plugin is taken.
        """
        if not payload:
            return
        if topic.name not in self.of_plugin:
            logger.warning("%s: plugins.enabled of this node has no %r", topic, topic.name)
        elif self._room.acquire(blocking=False):
            self._work.put(lambda: self._take_next(topic, payload))
        else:
            self._take_late(topic, payload)

    def _take_late(self, topic: Topic, payload: bytes) -> None:
        with self._late_lock:
            is_first = topic not in self._late
            self._late[topic] = payload
        if is_first:
            logger.warning(
                "%s: too many bundles at once; of those that come now, the newest is taken", topic
            )
            self._work.put(lambda: self._take(topic, self._newest_late(topic)))

    def _newest_late(self, topic: Topic) -> bytes:
        with self._late_lock:
            return self._late.pop(topic)

    def publish_changed(self) -> None:
        """Publish the states that are others than the last time."""
        for name, delivery in self.of_plugin.items():
            state = delivery.state
            if state is None or state == self._published.get(name):
                continue
            if self._publish(TopicKind.DELIVERY, state, name):
                self._published[name] = state

    def publish_all(self) -> None:
        """Publish every state again after a connection: the broker may have lost them."""
        self._published.clear()
        self.publish_changed()

    def _start(self, kept: KeptBundles) -> Progress:
        now = now_ms()
        if self.obstacle:
            return Progress()
        loaded = kept.load(self._key, now)
        found = progress.started(loaded, now)
        if found != loaded:
            # Before anything runs: what takes the node down is counted.
            self._save(kept, found)
        kept.remove_unneeded(found)
        return found

    # The thread runs these.

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                logger.exception("a delivered bundle was not taken: the host failed")

    def _take_next(self, topic: Topic, payload: bytes) -> None:
        self._room.release()
        self._take(topic, payload)

    def _take(self, topic: Topic, payload: bytes) -> None:
        try:
            version = self._verified(topic, payload)
        except BadDataError as e:
            self._refuse(topic, str(e))
            return
        except OSError as e:
            self._refuse(topic, _NOT_SAVED.format(self._folder, e.strerror))
            return
        if version is not None:
            logger.info("plugin %s: got version %s", topic.name, version.version or "without name")
            self._newest[topic.name] = version
            self._accept(topic.name, version)

    def _refuse(self, topic: Topic, reason: str) -> None:
        logger.error("%s: refused: %s", topic, reason)
        self.of_plugin[topic.name].refuse(reason)

    def _accept(self, name: str, version: Version) -> None:
        is_here = version.form != "component" or self._kept[name].has(version)
        self.of_plugin[name].accept(version, is_here=is_here)
        if is_here:
            self._fetcher.want(name, None)
        else:
            self._fetch(name, version)

    def _fetch_again(self, name: str, version: Version) -> None:
        """Go on with a fetch after a start of the node."""
        if self._newest[name] != version:
            return
        if self._kept[name].has(version):
            self.of_plugin[name].fetched(version)
        else:
            self._fetch(name, version)

    def _fetch(self, name: str, version: Version) -> None:
        delivery, kept = self.of_plugin[name], self._kept[name]
        self._fetcher.want(
            name,
            Order(
                said=order.read(version.order),
                target=kept.path(version),
                partial=kept.fetched_path(version),
                told=delivery.fetching,
                ended=partial(delivery.fetched, version),
            ),
        )

    def _verified(self, topic: Topic, payload: bytes) -> Version | None:
        """Return the version of a message, whose bundle is kept; None where it came before."""
        if self.obstacle:
            raise BadDataError(f"this node takes no files of the hub: {self.obstacle}")
        message = decode(topic, payload)
        if not isinstance(message, SignedBundle):
            raise BadDataError(f"{topic}: expected a signed bundle")
        newest = self._newest[topic.name]
        if (message.order, message.signature) == (newest.order, newest.signature):
            return None
        said = order.verify(message, self._key, topic)
        if said.release <= newest.release:
            raise BadDataError(
                f"found release {said.release}, expected one after {newest.release}, which came "
                "before; to go back, the hub signs a newer order"
            )
        if said.sha256 and (refusal := self.refusal_of_new(said.form)):
            raise BadDataError(f"this node takes no {said.form}s: {refusal}")
        order.check_content(said, message.bundle)
        version = progress.version_of(said, message)
        if message.bundle:
            self._kept[topic.name].write(version, message.bundle)
        return version

    def _save_later(self, name: str, found: Progress) -> None:
        """Save a progress in the thread. The cycle's thread calls this, and waits for nothing."""
        self._work.put(lambda: self._save(self._kept[name], found, self._newest[name].sha256))

    def _save(self, kept: KeptBundles, found: Progress, newest: str = "") -> None:
        try:
            kept.save(found)
        except OSError as e:
            self._fault.failed(f"{self._folder}: {e.strerror}")
            return
        self._fault.worked()
        kept.remove_unneeded(found, also_needed=newest)
