"""Parameters of a request: numbers and times within bounds. Errors name what was expected."""

from datetime import UTC, datetime

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

LATEST_MS = 2**53
DAY_MS = 86_400_000
_END_OF_9999_MS = 253_402_300_799_999


def required(params: QueryParams, name: str) -> str:
    found = params.get(name, "")
    if not found:
        raise HTTPException(400, f"{name}: found nothing, expected one")
    return found


def choice(params: QueryParams, name: str, choices: tuple[str, ...]) -> str:
    """Return one of `choices`, by default the first."""
    found = params.get(name, choices[0])
    if found not in choices:
        expected = " or ".join(choices)
        raise HTTPException(400, f"{name}: found {found[:20]!r}, expected {expected}")
    return found


def number(params: QueryParams, name: str, default: int, least: int, most: int) -> int:
    text = params.get(name)
    found = default if text is None else _whole(text)
    if found is None or not least <= found <= most:
        raise HTTPException(
            400, f"{name}: found {(text or '')[:20]!r}, expected a whole number, {least} to {most}"
        )
    return found


def time_range(params: QueryParams, now_ms: int, default_ms: int = DAY_MS) -> tuple[int, int]:
    """Return `from` and `to` in Unix milliseconds, by default the last day."""
    to_ms = _moment(params, "to", now_ms, 1, LATEST_MS)
    return _moment(params, "from", max(0, to_ms - default_ms), 0, to_ms - 1), to_ms


def optional_time(params: QueryParams, name: str) -> int | None:
    """Return a time in Unix milliseconds; None where the parameter is absent."""
    return _moment(params, name, 0, 0, LATEST_MS) if name in params else None


def iso_8601(timestamp_ms: int) -> str:
    """Return a time in UTC with milliseconds, the latest one of the year 9999."""
    timestamp_ms = min(timestamp_ms, _END_OF_9999_MS)
    at = datetime.fromtimestamp(timestamp_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{timestamp_ms % 1000:03}Z"


def _moment(params: QueryParams, name: str, default: int, least: int, most: int) -> int:
    text = params.get(name)
    found = default if text is None else _moment_ms(text)
    if found is None or not least <= found <= most:
        raise HTTPException(
            400,
            f"{name}: found {(text or '')[:35]!r}, expected Unix milliseconds or ISO 8601, for"
            f" example 1795373121000 or 2026-11-22T18:45:21Z, {least} to {most}",
        )
    return found


def _moment_ms(text: str) -> int | None:
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
