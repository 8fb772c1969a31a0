"""Fetcher of components that were ordered: one after the other, in a thread of its own.

An attempt that fails is repeated with back-off, for a day. What was fetched is the signed file, or
it is removed.
"""

import logging
import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bus.client.backoff import Backoff
from bus.contract.plugin_file import order
from bus.contract.plugin_file.order import BadOrderError, BundleOrder
from bus.errors import BadDataError, UnavailableError
from bus.files import whole_file
from node_agent.delivery.component_source import ComponentSource, HubAddress

logger = logging.getLogger(__name__)

# The hub opens its port when it sends the order.
_OPENING_S = 1.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 300.0
_GIVE_UP_S = 24 * 3600.0
# Whole files that are not the signed one: the hub's is another, or somebody changes it on its way.
_MAX_WRONG = 3
# Room that must be left on the disk.
_SPARE_BYTES = 32_000_000
_MB = 1e6
_TOLD_EVERY_BYTES = 2_000_000


class Order(msgspec.Struct, frozen=True):
    """A component to fetch to `target`, by way of `partial`.

    `told` gets words on the progress, `ended` the reason for which there is no file, or nothing.
    """

    said: BundleOrder
    target: Path
    partial: Path
    told: Callable[[str], object]
    ended: Callable[[str], object]


class _Fetch:
    """An order with its attempts."""

    def __init__(self, wanted: Order) -> None:
        self.wanted = wanted
        self.backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S, draw=_at_least_half)
        self.end_s = time.monotonic() + _GIVE_UP_S
        self.due_s = time.monotonic() + _OPENING_S
        self.wrong = 0


class ComponentFetcher:
    """Fetches while its context is open. Any thread may call `want`."""

    def __init__(self, hub: Callable[[], HubAddress | None]) -> None:
        self._fetches: dict[str, _Fetch] = {}
        self._changed = threading.Condition()
        self._current: _Fetch | None = None
        self._is_stopping = False
        self._source = ComponentSource(hub, self._must_end)
        self._thread = threading.Thread(target=self._run, name="components", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End after what is read at the moment; wait up to `timeout_s` for that."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def want(self, plugin: str, wanted: Order | None) -> None:
        """Fetch this for a plugin, in place of what was wanted before; None ends that."""
        with self._changed:
            self._fetches.pop(plugin, None)
            if wanted is not None:
                self._fetches[plugin] = _Fetch(wanted)
            self._changed.notify()

    # The thread runs these.

    def _run(self) -> None:
        while (found := self._next()) is not None:
            plugin, fetch = found
            try:
                self._attempt(plugin, fetch)
            except Exception:
                logger.exception(
                    "plugin %s: its component was not fetched: the host failed", plugin
                )
                self._end(plugin, fetch, "the host failed")

    def _next(self) -> tuple[str, _Fetch] | None:
        """Wait for a fetch that is due; return None at the end."""
        with self._changed:
            while not self._is_stopping:
                now_s = time.monotonic()
                first = min(self._fetches.items(), key=lambda each: each[1].due_s, default=None)
                if first is not None and first[1].due_s <= now_s:
                    self._current = first[1]
                    return first
                self._changed.wait(None if first is None else first[1].due_s - now_s)
        return None

    def _must_end(self) -> bool:
        with self._changed:
            return self._is_stopping or self._current not in self._fetches.values()

    def _attempt(self, plugin: str, fetch: _Fetch) -> None:
        wanted = fetch.wanted
        try:
            self._fetch(fetch)
        except BadOrderError as e:
            wanted.partial.unlink(missing_ok=True)
            fetch.wrong += 1
            self._fail(plugin, fetch, str(e), is_final=fetch.wrong >= _MAX_WRONG)
        except BadDataError as e:
            self._fail(plugin, fetch, str(e), is_final=True)
        except (UnavailableError, OSError) as e:
            self._fail(plugin, fetch, str(e), is_final=time.monotonic() > fetch.end_s)
        else:
            self._end(plugin, fetch, "")

    def _fetch(self, fetch: _Fetch) -> None:
        wanted, said = fetch.wanted, fetch.wanted.said
        wanted.partial.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(wanted.partial.parent).free
        if free_bytes < said.size_bytes + _SPARE_BYTES:
            raise UnavailableError(
                f"{wanted.partial.parent}: found {free_bytes / _MB:.0f} MB free, expected "
                f"{(said.size_bytes + _SPARE_BYTES) / _MB:.0f} MB"
            )
        wanted.told(_of_size(wanted.partial.stat().st_size if wanted.partial.exists() else 0, said))
        told = 0

        def note(there: int) -> None:
            nonlocal told
            if there // _TOLD_EVERY_BYTES != told:
                told = there // _TOLD_EVERY_BYTES
                wanted.told(_of_size(there, said))

        self._source.fetch(said, wanted.partial, note)
        order.check_component(said, wanted.partial)
        whole_file.move(wanted.partial, wanted.target)

    def _fail(self, plugin: str, fetch: _Fetch, reason: str, *, is_final: bool) -> None:
        if is_final:
            self._end(plugin, fetch, f"its component could not be fetched: {reason}")
            return
        wait_s = fetch.backoff.next_s()
        fetch.due_s = time.monotonic() + wait_s
        if not self._must_end():
            logger.warning("plugin %s: %s; next try in %.0f s", plugin, reason, wait_s)
            fetch.wanted.told(f"{reason}; next try in {wait_s:.0f} s")

    def _end(self, plugin: str, fetch: _Fetch, error: str) -> None:
        with self._changed:
            if self._fetches.get(plugin) is not fetch:
                return
            del self._fetches[plugin]
        fetch.wanted.ended(error)


def _of_size(there: int, said: BundleOrder) -> str:
    return f"{there / _MB:.1f} of {said.size_bytes / _MB:.1f} MB"


def _at_least_half(least_s: float, most_s: float) -> float:
    return random.uniform((least_s + most_s) / 2, most_s)
