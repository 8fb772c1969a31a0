"""Events of a recorded step: all that a guest got from outside, in order. Pure.

A step is the load of a bundle, or one poll. Encoded as MessagePack: values may be bytes and NaN.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from node_agent.sandbox.instance import Err

_ERR = "err"


class Monotonic(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    """The monotonic clock was read."""

    ns: int


class Wall(msgspec.Struct, frozen=True, array_like=True, tag="w"):
    """The wall clock was read."""

    ns: int


class Random(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """Random bytes were taken."""

    content: bytes


class Call(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """One host call; `at_us` counts from the begin of the step.

    `arguments` and `answer` are as `to_plain` makes them.
    """

    interface: str
    function: str
    arguments: list[Any]
    answer: Any
    at_us: int = 0
    took_us: int = 0


Event = Monotonic | Wall | Random | Call


class Returned(msgspec.Struct, frozen=True, array_like=True, tag="ok"):
    """The value that a poll returned, an err included; None after a load."""

    value: Any


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="fault"):
    """The fault that ended the instance."""

    message: str
    traceback: str


Outcome = Returned | Failed


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One load (`number` 0) or poll, with its encoded `events`.

    `outcome` is None where the step had not ended. `is_cut`: it had more events than are kept.
    `state` is that of the guest at the step's begin, where it was taken; `no_state` says why it
    could not be.
    """

    number: int
    began_ms: int
    argument: str | None
    events: bytes
    outcome: Outcome | None
    is_cut: bool = False
    state: str | None = None
    no_state: str = ""


_EVENTS = msgspec.msgpack.Decoder(list[Event])
_ENCODER = msgspec.msgpack.Encoder()


def events_of(step: Step) -> list[Event]:
    """Return the events of a step. Raises msgspec.DecodeError."""
    return _EVENTS.decode(step.events)


def comparable(events: Iterable[Event], outcome: Outcome | None) -> bytes:
    """Return what has to be the same in two runs, as bytes: all but how long calls took."""
    untimed = [
        msgspec.structs.replace(event, at_us=0, took_us=0) if isinstance(event, Call) else event
        for event in events
    ]
    return _ENCODER.encode([untimed, outcome])


def to_plain(value: Any) -> Any:
    """Return a value of the contract as MessagePack can hold it: records become objects."""
    if isinstance(value, Err):
        return {_ERR: value.message}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    return {name: to_plain(field) for name, field in vars(value).items()}


def to_answer(plain: Any) -> Any:
    """Return what a host function returned, as wasmtime-py wants it."""
    if isinstance(plain, dict):
        return Err(str(plain.get(_ERR, "")))
    return tuple(map(to_answer, plain)) if isinstance(plain, list) else plain
