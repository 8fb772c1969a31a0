"""Two machines that were given one node id by mistake: their streams take turns. No clock here.

A node that restarts goes from one stream to another once. Two machines that throw each other out of
the broker go back and forth.
"""

import logging
from collections import deque

import msgspec

logger = logging.getLogger(__name__)

_WINDOW_MS = 300_000
_TURNS = 4
_MAX_STREAMS = 8
_MAX_NODES = 200


class _Turns(msgspec.Struct):
    """What one node's id was used for lately."""

    current: str = ""
    newest: dict[str, int] = {}
    turns_ms: deque[int] = msgspec.field(default_factory=lambda: deque(maxlen=_TURNS))
    is_twin: bool = False


class Twins:
    """Which node ids are used by more than one machine."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Turns] = {}

    def hear(self, node: str, stream: str, seq: int, now_ms: int) -> None:
        """Take note of a live reading; one that is repeated, as retained ones are, says nothing."""
        if node not in self._nodes and len(self._nodes) >= _MAX_NODES:
            return
        turns = self._nodes.setdefault(node, _Turns())
        if seq <= turns.newest.get(stream, -1):
            return
        if turns.current and stream != turns.current and stream in turns.newest:
            turns.turns_ms.append(now_ms)
        turns.current = stream
        turns.newest[stream] = seq
        while len(turns.newest) > _MAX_STREAMS:
            del turns.newest[next(iter(turns.newest))]
        self._judge(node, turns, now_ms)

    def are_at(self, node: str, now_ms: int) -> bool:
        """Whether two machines have used the id `node` within the last minutes."""
        turns = self._nodes.get(node)
        if turns is not None:
            self._judge(node, turns, now_ms)
        return turns is not None and turns.is_twin

    @staticmethod
    def _judge(node: str, turns: _Turns, now_ms: int) -> None:
        recent = [at_ms for at_ms in turns.turns_ms if now_ms - at_ms <= _WINDOW_MS]
        was_twin, turns.is_twin = turns.is_twin, len(recent) >= _TURNS
        if turns.is_twin and not was_twin:
            logger.error(
                "two machines use the node id %s, with the streams %s: give one another id; their "
                "histories are kept apart",
                *(node, " and ".join(list(turns.newest)[-2:])),
            )
        elif was_twin and not turns.is_twin:
            logger.warning("the node id %s is used by one machine only again", node)
