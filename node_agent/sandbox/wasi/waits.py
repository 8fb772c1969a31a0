"""Waits of a guest: WASI's pollables, made here in place of wasmtime's.

wasmtime cannot interrupt a guest that waits in it, and a sleeping plugin would hold its thread for
as long as it likes. Here every wait ends at the deadline of the call.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from wasmtime import WasmtimeError
from wasmtime.component import LinkerInstance, ResourceHost, ResourceType

from node_agent.sandbox.wasi.sources import WasiSources

POLL = "wasi:io/poll"
# The cause of the trap that ends a wait at the deadline.
ASLEEP = "the guest waits beyond its deadline"
_CLOCK = "wasi:clocks/monotonic-clock"
# Any number: the host has no other resource of its own.
_POLLABLE = 1
_MOST_POLLABLES = 1024
_S_NS = 1_000_000_000
# What makes a pollable of something else than the clock. All of it is ready at once: a guest has no
# network and no files, and its output does not wait.
_ALWAYS_READY: Mapping[str, tuple[str, ...]] = {
    "wasi:io/streams": ("[method]input-stream.subscribe", "[method]output-stream.subscribe"),
    "wasi:sockets/tcp": ("[method]tcp-socket.subscribe",),
    "wasi:sockets/udp": (
        "[method]udp-socket.subscribe",
        "[method]incoming-datagram-stream.subscribe",
        "[method]outgoing-datagram-stream.subscribe",
    ),
    "wasi:sockets/ip-name-lookup": ("[method]resolve-address-stream.subscribe",),
}


class Waits:
    """Pollables of one instance. Only the thread that uses the instance calls."""

    def __init__(self, sources: WasiSources) -> None:
        self._sources = sources
        self._until_s = 0.0
        # By the number of a pollable: when it is ready, by the guest's monotonic clock.
        self._ready_ns: dict[int, int] = {}
        self._last = 0

    def arm(self, deadline_s: float) -> None:
        """End every wait no later than `deadline_s` from now."""
        self._until_s = time.monotonic() + deadline_s

    def functions(self) -> dict[str, dict[str, Callable[..., Any]]]:
        """Return the functions of WASI that make pollables or wait for them."""
        found: dict[str, dict[str, Callable[..., Any]]] = {
            interface: dict.fromkeys(names, self._of_resource)
            for interface, names in _ALWAYS_READY.items()
        }
        found[_CLOCK] = {"subscribe-instant": self._at, "subscribe-duration": self._after}
        found[POLL] = {
            "poll": self._poll,
            "[method]pollable.block": self._block,
            "[method]pollable.ready": self._is_ready,
        }
        return found

    def add_resource(self, linked: LinkerInstance) -> None:
        """Define the resource in the instance of `wasi:io/poll`."""
        with ResourceType.host(_POLLABLE) as kind:
            linked.add_resource("pollable", kind, self._dropped)

    def _at(self, _store: object, ready_ns: int) -> ResourceHost:
        if len(self._ready_ns) >= _MOST_POLLABLES:
            raise WasmtimeError(f"holds {_MOST_POLLABLES} pollables; expected fewer")
        self._last += 1
        self._ready_ns[self._last] = ready_ns
        return ResourceHost.own(self._last, _POLLABLE)

    def _after(self, store: object, wait_ns: int) -> ResourceHost:
        return self._at(store, self._sources.elapsed_ns() + wait_ns)

    def _of_resource(self, store: Any, resource: Any) -> ResourceHost:
        _give_back(store, resource)
        return self._at(store, 0)

    def _dropped(self, _store: object, number: int) -> None:
        self._ready_ns.pop(number, None)

    def _poll(self, store: Any, pollables: list[Any]) -> list[int]:
        ready_ns = [self._taken(store, pollable) for pollable in pollables]
        if not ready_ns:
            raise WasmtimeError("polls an empty list; expected pollables")
        first_ns = min(ready_ns)
        self._wait(first_ns)
        if not self._sources.waits:
            return list(range(len(ready_ns)))
        now_ns = max(first_ns, self._sources.elapsed_ns())
        return [at for at, moment_ns in enumerate(ready_ns) if moment_ns <= now_ns]

    def _block(self, store: Any, pollable: Any) -> None:
        self._wait(self._taken(store, pollable))

    def _is_ready(self, store: Any, pollable: Any) -> bool:
        ready_ns = self._taken(store, pollable)
        return not self._sources.waits or ready_ns <= self._sources.elapsed_ns()

    def _taken(self, store: Any, pollable: Any) -> int:
        """Give a borrowed pollable back; return when it is ready."""
        # This gives it back, too.
        with pollable.to_host(store) as host:
            number = host.rep
        pollable.close()
        return self._ready_ns.get(number, 0)

    def _wait(self, ready_ns: int) -> None:
        """Wait until a pollable is ready. Raises WasmtimeError, a trap, at the deadline."""
        if self._sources.is_asleep:
            raise WasmtimeError(ASLEEP)
        if not self._sources.waits:
            return
        while (left_ns := ready_ns - self._sources.elapsed_ns()) > 0:
            allowed_s = self._until_s - time.monotonic()
            if allowed_s <= 0:
                raise WasmtimeError(ASLEEP)
            time.sleep(min(left_ns / _S_NS, allowed_s))


def _give_back(store: Any, resource: Any) -> None:
    # What is borrowed has to be given back before the call ends.
    resource.drop(store)
    resource.close()
