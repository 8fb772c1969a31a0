"""Parameters of a request: numbers, times and words within bounds. Errors name what was expected.

A handler reads its parameters with the same objects that document them in the OpenAPI document.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from bus.clock import DAY_MS

LATEST_MS = 2**53
_END_OF_9999_MS = 253_402_300_799_999
_ISO_8601 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?\Z"
)
_MOMENT = (
    Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
    | Annotated[str, msgspec.Meta(pattern=_ISO_8601, examples=["2026-11-22T18:45:21Z"])]
)
_TEXT = Annotated[str, msgspec.Meta(min_length=1)]


class Parameter(msgspec.Struct, frozen=True):
    """A query parameter: any text. `about` explains it to people."""

    name: str
    about: str
    is_required: bool = False
    # It may be given more than once.
    is_list: bool = False

    @property
    def type(self) -> Any:
        """The type of its values, for the OpenAPI document."""
        return _TEXT if self.is_required else str

    @property
    def default(self) -> str | int | None:
        """The value that it has where it is absent; None where that is no single value."""
        return None

    def read(self, params: QueryParams) -> str:
        """Return the text, empty where it is absent. Raises HTTPException where it must not be."""
        found = params.get(self.name, "")
        if self.is_required and not found:
            raise HTTPException(400, f"{self.name}: found nothing, expected one")
        return found


class Choice(Parameter, frozen=True):
    """A parameter that is one of `choices`, by default the first."""

    choices: tuple[str, ...] = ()

    @property
    def type(self) -> Any:
        return Literal[self.choices]

    @property
    def default(self) -> str:
        return self.choices[0]

    def read(self, params: QueryParams) -> str:
        found = params.get(self.name, self.default)
        if found not in self.choices:
            expected = " or ".join(self.choices)
            raise HTTPException(400, f"{self.name}: found {found[:20]!r}, expected {expected}")
        return found


class Whole(msgspec.Struct, frozen=True):
    """Bounds of a whole number, and its default."""

    least: int
    most: int
    default: int | None = None


class Number(Parameter, frozen=True):
    """A parameter that is a whole number."""

    bounds: Whole = Whole(0, LATEST_MS)

    @property
    def type(self) -> Any:
        return Annotated[int, msgspec.Meta(ge=self.bounds.least, le=self.bounds.most)]

    @property
    def default(self) -> int | None:
        return self.bounds.default

    def number(self, params: QueryParams, default: int | None = None) -> int:
        """Return the number; where it is absent, `default` or the one of its bounds."""
        text = params.get(self.name)
        absent = self.bounds.default if default is None else default
        found = absent if text is None else _whole(text)
        least, most = self.bounds.least, self.bounds.most
        if found is None or not least <= found <= most:
            raise HTTPException(
                400,
                f"{self.name}: found {(text or '')[:20]!r}, expected a whole number,"
                f" {least} to {most}",
            )
        return found


class Moment(Parameter, frozen=True):
    """A parameter that is a time: Unix milliseconds or ISO 8601."""

    @property
    def type(self) -> Any:
        return _MOMENT

    def moment(self, params: QueryParams, default: int, least: int, most: int) -> int:
        """Return the time in Unix milliseconds, `default` where it is absent."""
        text = params.get(self.name)
        found = default if text is None else moment_ms(text)
        if found is None or not least <= found <= most:
            raise HTTPException(
                400,
                f"{self.name}: found {(text or '')[:35]!r}, expected Unix milliseconds or ISO"
                " 8601, for example 1795373121000 or 2026-11-22T18:45:21Z,"
                f" {least} to {most}",
            )
        return found

    def optional(self, params: QueryParams) -> int | None:
        """Return the time in Unix milliseconds; None where it is absent."""
        return self.moment(params, 0, 0, LATEST_MS) if self.name in params else None


_FROM = "Begin of the range: Unix milliseconds or ISO 8601, in UTC without an offset"
FROM = Moment("from", f"{_FROM}; default: a day before `to`")
FROM_30_DAYS = Moment("from", f"{_FROM}; default: 30 days before `to`")
FROM_ANY = Moment("from", f"{_FROM}; default: no limit")
TO = Moment("to", "End of the range, not included itself; default: now")


def time_range(params: QueryParams, now_ms: int, default_ms: int = DAY_MS) -> tuple[int, int]:
    """Return `from` and `to` in Unix milliseconds, by default the last day."""
    to_ms = TO.moment(params, now_ms, 1, LATEST_MS)
    return FROM.moment(params, max(0, to_ms - default_ms), 0, to_ms - 1), to_ms


def iso_8601(timestamp_ms: int) -> str:
    """Return a time in UTC with milliseconds, the latest one of the year 9999."""
    timestamp_ms = min(timestamp_ms, _END_OF_9999_MS)
    at = datetime.fromtimestamp(timestamp_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{timestamp_ms % 1000:03}Z"


def moment_ms(text: str) -> int | None:
    """Return a time in Unix milliseconds; one without an offset is in UTC."""
    found = _whole(text)
    if found is not None:
        return found
    try:
        # The plus sign of an offset that is not escaped arrives as a space.
        at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else None
