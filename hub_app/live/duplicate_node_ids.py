"""Detection of duplicate node ids: two machines that use one id by mistake. It reads no clock.

A node that restarts changes from one stream to another once. Two machines with one id throw each
other out of the broker in turns, so their streams alternate.
"""

import logging
from collections.abc import Container

import msgspec

logger = logging.getLogger(__name__)

_WINDOW_MS = 300_000
# That many returns to an earlier stream within the window mean two machines.
_MIN_RETURNS = 4
_MAX_STREAMS = 8


class _NodeStreams(msgspec.Struct, gc=False):
    """The streams of one node id, with the newest `seq` of each, and the recent returns."""

    current: str = ""
    newest_seq: dict[str, int] = {}
    returns_ms: tuple[int, ...] = ()
    is_duplicate: bool = False


class DuplicateNodeIds:
    """Node ids that more than one machine uses."""

    def __init__(self) -> None:
        self._nodes: dict[str, _NodeStreams] = {}

    def on_reading(self, node: str, stream: str, seq: int, now_ms: int) -> None:
        """Note a live reading. One that is repeated, as retained ones are, does not count."""
        streams = self._nodes.get(node)
        if streams is None:
            streams = self._nodes[node] = _NodeStreams()
        if seq <= streams.newest_seq.get(stream, -1):
            return
        if stream == streams.current and not streams.returns_ms:
            # As nearly all readings are.
            streams.newest_seq[stream] = seq
            return
        if streams.current and stream != streams.current and stream in streams.newest_seq:
            streams.returns_ms = (*streams.returns_ms[1 - _MIN_RETURNS :], now_ms)
        streams.current = stream
        streams.newest_seq[stream] = seq
        while len(streams.newest_seq) > _MAX_STREAMS:
            del streams.newest_seq[next(iter(streams.newest_seq))]
        self._update(node, streams, now_ms)

    def keep_only(self, nodes: Container[str]) -> None:
        """Forget every other node."""
        for node in [name for name in self._nodes if name not in nodes]:
            del self._nodes[node]

    def is_duplicate(self, node: str, now_ms: int) -> bool:
        """Whether two machines have used the id `node` within the last minutes."""
        streams = self._nodes.get(node)
        if streams is not None:
            self._update(node, streams, now_ms)
        return streams is not None and streams.is_duplicate

    @staticmethod
    def _update(node: str, streams: _NodeStreams, now_ms: int) -> None:
        recent = [at_ms for at_ms in streams.returns_ms if now_ms - at_ms <= _WINDOW_MS]
        was_duplicate, streams.is_duplicate = streams.is_duplicate, len(recent) >= _MIN_RETURNS
        if streams.is_duplicate and not was_duplicate:
            logger.error(
                "two machines use the node id %s, with the streams %s: give one of them another "
                "id; their histories are kept apart",
                *(node, " and ".join(list(streams.newest_seq)[-2:])),
            )
        elif was_duplicate and not streams.is_duplicate:
            logger.warning("the node id %s is used by one machine only again", node)
