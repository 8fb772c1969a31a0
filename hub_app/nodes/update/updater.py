"""Updater of nodes in a running hub: follows the round's file, asks nodes, notes what they tell."""

import asyncio
import logging
from pathlib import Path

import msgspec

from bus.clock import now_ms
from bus.config.hub_files import HubFiles
from bus.contract.messages import UpdateState
from bus.contract.topics import Topic, TopicKind
from bus.errors import HarvesterError, MisconfiguredError, UnavailableError
from bus.fault import Fault
from bus.files.file_stamp import FileStamp, stamp_of
from hub_app.hub import Hub
from hub_app.nodes.update import round as rounds
from hub_app.nodes.update import round_file
from hub_app.nodes.update.round import NodeNow, Round

logger = logging.getLogger(__name__)


class NodeUpdater:
    """The round of updates of one hub, on the event loop; files are written in threads."""

    def __init__(self, files: HubFiles, hub: Hub, own_node: str) -> None:
        self.path: Path = files.state_dir / round_file.FILE_NAME
        self._hub = hub
        self.own_node = own_node
        self._stamp: FileStamp = None
        self._round = Round()
        self._fault = Fault("updates of nodes")

    @property
    def round(self) -> Round:
        """The last round; where its file cannot be read, a stopped one that says so."""
        try:
            self._refresh()
        except MisconfiguredError as e:
            return msgspec.structs.replace(self._round, stopped=str(e))
        return self._round

    @property
    def is_serving(self) -> bool:
        """Whether a node may fetch wheels now."""
        return bool(self._round.asked) and not self._round.stopped

    async def start(self, names: list[str], canary: str) -> Round:
        """Begin a round of these nodes, of all without names. Raises MisconfiguredError."""
        known = [node for node in self._hub.state.nodes if node != self.own_node]
        for name in (*names, *([canary] if canary else [])):
            if name not in known:
                raise MisconfiguredError(
                    f"found {name!r}, expected a node of this hub: {', '.join(known) or 'none yet'}"
                )
        made = rounds.begin(names or known, canary, now_ms())
        return await asyncio.to_thread(round_file.start, self.path, made)

    async def run(self) -> None:
        """Do what is due, once a second."""
        try:
            self._refresh()
            if not self._round.is_over:
                await self._step()
        except HarvesterError as e:
            self._fault.failed(str(e))
        else:
            self._fault.worked()

    async def _step(self) -> None:
        nodes = {name: self._node(name) for name in self._round.nodes}
        followed = rounds.follow(self._round, nodes, now_ms())
        if followed != self._round:
            await self._save(followed)
        name = rounds.next_node(self._round, nodes)
        if name:
            await self._ask(name, nodes[name].told)

    async def _ask(self, name: str, told: UpdateState | None) -> None:
        before = self._round
        # Before the node is told, so that the port is open when it comes.
        await self._save(rounds.ask(before, name, told, now_ms()))
        logger.info("update of %s: asked to look", name)
        try:
            await self._hub.commander.command(name, "update", {"action": "look"})
        except UnavailableError:
            # Asked again: the file that asks for an update is there once, however often.
            await self._save(before)
        except HarvesterError as e:
            await self._save(rounds.fail(self._round, name, str(e)))

    def _node(self, name: str) -> NodeNow:
        state = self._hub.state
        if name not in state.nodes:
            return NodeNow(is_online=False)
        told = state.value(Topic(name, TopicKind.UPDATE))
        return NodeNow(state.presence(name).view.presence == "online", told)

    async def _save(self, changed: Round) -> None:
        if changed.stopped and not self._round.stopped:
            logger.error("the round of updates stops: %s", changed.stopped)
        before = self._round
        # Somebody may have begun another round meanwhile, which goes first.
        self._round = await asyncio.to_thread(
            round_file.change, self.path, lambda found: changed if found == before else found
        )
        self._stamp = stamp_of(self.path)

    def _refresh(self) -> None:
        stamp = stamp_of(self.path)
        if stamp != self._stamp:
            self._round = round_file.load(self.path)
            self._stamp = stamp
