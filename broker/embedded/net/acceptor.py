"""Accepting connections. One above a limit is closed before a byte is read or a task is made."""

import asyncio
import errno
import functools
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine

from broker.embedded.counters import Counters, Refusal
from broker.embedded.net.admission import Admission, Place
from broker.embedded.net.listener import Listener
from bus.limited_log import LimitedLog
from bus.listen import accept, listen, listen_when_available

logger = logging.getLogger(__name__)

_BACKLOG = 1_024
# No free file descriptor: wait until there is one.
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_RETRY_S = 0.2
# Rounds of the loop within which a connection whose peer has closed frees its place.
_ROUNDS = 10

Serve = Callable[[Listener, socket.socket, Place], Awaitable[None]]


def bind(listener: Listener) -> socket.socket:
    """Return a listening socket.

    Raises AddressUnavailableError or MisconfiguredError, which name the key to change.
    """
    bound = listen(listener.host, listener.port, key=listener.key, backlog=_BACKLOG)
    bound.setblocking(False)
    return bound


async def bind_when_available(listener: Listener) -> socket.socket:
    """Return a listening socket once its address can be had. Raises MisconfiguredError."""
    bound = await listen_when_available(
        listener.host, listener.port, key=listener.key, backlog=_BACKLOG
    )
    bound.setblocking(False)
    return bound


class Acceptor:
    """Accepts connections on one socket, one in each round of the loop, and owns their tasks.

    It begins when it is made.
    """

    def __init__(  # noqa: PLR0913 - all that a connection needs before it is served
        self,
        listener: Listener,
        bound: socket.socket,
        serve: Serve,
        *,
        admission: Admission,
        counters: Counters,
        log: LimitedLog,
        queue_s: float,
    ) -> None:
        """`queue_s`: the time for which a connection waits for a place before it is served."""
        self._listener = listener
        self._bound = bound
        self._serve = serve
        self._admission = admission
        self._counters = counters
        self._log = log
        self._queue_s = queue_s
        self._tasks: set[asyncio.Task[None]] = set()
        # Those above a limit that are tried again in the next round.
        self._retried: set[socket.socket] = set()
        # Those whose task has not begun: one that is cancelled then runs nothing.
        self._unserved: set[socket.socket] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept_all())

    @property
    def is_accepting(self) -> bool:
        return not self._accepting.done()

    async def stop_accepting(self) -> None:
        """Stop listening; connections go on. Twice is fine."""
        self._accepting.cancel()
        await asyncio.wait([self._accepting])
        self._bound.close()
        for sock in self._retried:
            sock.close()

    def close_sockets(self) -> None:
        """Stop listening at once, where there is no time to wait. Twice is fine."""
        self._accepting.cancel()
        if self._bound.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._bound)
        for sock in (self._bound, *self._retried, *self._unserved):
            sock.close()

    async def close(self) -> None:
        """Stop listening and end every connection."""
        await self.stop_accepting()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept_all(self) -> None:
        while True:
            try:
                sock, address = await accept(self._bound)
            except OSError as e:
                # The peer may be gone again already.
                if e.errno in _NO_DESCRIPTOR:
                    self._log.warning("no descriptor", "cannot accept a connection: %s", e)
                    await asyncio.sleep(_RETRY_S)
                continue
            self._accepted(sock, address)
            # `accept` does not wait while there is one: the others have their turn now.
            await asyncio.sleep(0)

    def _accepted(self, sock: socket.socket, address: str) -> None:
        self._counters.sockets += 1
        place = self._admission.admit(address, asyncio.get_running_loop().time())
        if isinstance(place, Place):
            self._start(sock, self._serve_and_release(sock, place), place)
        elif place is Refusal.LOGINS and self._admission.may_queue(address):
            self._start(sock, self._serve_later(sock, address))
        elif place is Refusal.LOGINS:
            self._refuse(sock, address, place)
        else:
            self._retry(sock, address, _ROUNDS)

    def _retry(self, sock: socket.socket, address: str, rounds: int) -> None:
        """Serve a connection above a limit if it has a place within some rounds.

        Others, or the last connection of the same client, may have ended in this round.
        """
        self._retried.discard(sock)
        if not self.is_accepting:
            sock.close()
            return
        loop = asyncio.get_running_loop()
        place = self._admission.admit(address, loop.time())
        if isinstance(place, Place):
            self._start(sock, self._serve_and_release(sock, place), place)
        elif not rounds:
            self._refuse(sock, address, place)
        else:
            self._retried.add(sock)
            loop.call_soon(self._retry, sock, address, rounds - 1)

    def _start(
        self,
        sock: socket.socket,
        serving: Coroutine[None, None, None],
        place: Place | None = None,
    ) -> None:
        task = asyncio.get_running_loop().create_task(serving)
        self._tasks.add(task)
        self._unserved.add(sock)
        task.add_done_callback(functools.partial(self._ended, sock, place))
        if place is not None:
            place.evict = lambda: self._evict(task)

    def _ended(self, sock: socket.socket, place: Place | None, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if sock in self._unserved:
            self._unserved.discard(sock)
            sock.close()
            if place is not None:
                self._admission.release(place)

    def _refuse(self, sock: socket.socket, address: str, refusal: Refusal) -> None:
        sock.close()
        self._counters.refuse(refusal)
        self._log.warning(
            refusal, "closed a connection from %s: too many (broker.%s)", address, refusal
        )

    def _evict(self, task: asyncio.Task[None]) -> None:
        self._counters.refuse(Refusal.LOGINS)
        task.cancel()

    async def _serve_later(self, sock: socket.socket, address: str) -> None:
        """Serve a connection once it has a place."""
        self._unserved.discard(sock)
        deadline_s = asyncio.get_running_loop().time() + self._queue_s
        try:
            place = await self._admission.wait_for_place(
                address, deadline_s, functools.partial(_has_sent, sock)
            )
        except BaseException:
            sock.close()
            raise
        if isinstance(place, Place):
            self._start(sock, self._serve_and_release(sock, place), place)
        else:
            self._refuse(sock, address, place)

    async def _serve_and_release(self, sock: socket.socket, place: Place) -> None:
        self._unserved.discard(sock)
        try:
            await self._serve(self._listener, sock, place)
        finally:
            self._admission.release(place)


def _has_sent(sock: socket.socket) -> bool:
    """Whether the peer has sent something, which stays in the socket."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
