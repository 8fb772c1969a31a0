"""`/api/alarms`: active and past alarms, acknowledgement, mute, and rules."""

import asyncio
import sqlite3
from typing import Annotated, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.clock import DAY_MS
from bus.config.alarms_table import AlarmConfig, check_rule
from bus.contract.mistake import first_mistake
from bus.errors import MisconfiguredError, UnavailableError
from hub_app.alarms import rules_file
from hub_app.alarms.alarm_file import NotSavedError
from hub_app.alarms.engine import Active, Key
from hub_app.alarms.monitor import AlarmMonitor
from hub_app.alarms.records import Past, PastQuery
from hub_app.alarms.rules import Rule
from hub_app.http.formats.query_params import (
    LATEST_MS,
    Number,
    Parameter,
    Whole,
    time_range,
)
from hub_app.http.responses import Json, hub_of, listed, read_body, read_json
from hub_app.hub import Hub

_DEFAULT_MS = 30 * DAY_MS
_DEFAULT_LIMIT = 100
_MAX_LIMIT = 1000
NODE = Parameter("node", "Id of a node; default: all nodes")
BEFORE = Number("before", "Begin of the oldest one so far, for more", bounds=Whole(1, LATEST_MS))
LIMIT = Number("limit", "Most past alarms", bounds=Whole(1, _MAX_LIMIT, _DEFAULT_LIMIT))
_MAX_MINUTES = 525_600
_MUTE_USAGE = '{"minutes": 60}; 0 ends the mute'
_RULE_USAGE = '{"name": "too-warm", "field": "temperature", "above": 30, "clear": 28}'
_MAX_QUERIES = 2

_slots = asyncio.Semaphore(_MAX_QUERIES)
_writing = asyncio.Lock()


class MuteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a mute."""

    minutes: Annotated[float, msgspec.Meta(ge=0, le=_MAX_MINUTES)]


class ActiveAlarm(Active, frozen=True):
    """An alarm that is active. No notification of it is sent until `muted_until_ms`."""

    muted_until_ms: int = 0


class Alarms(msgspec.Struct, frozen=True):
    """Active alarms, and past ones, newest first; `has_more`: there are older ones."""

    now_ms: int
    active: list[ActiveAlarm]
    past: list[Past]
    has_more: bool


class Acknowledged(ActiveAlarm, frozen=True):
    """The alarm that was acknowledged."""

    ok: bool = True


class Muted(msgspec.Struct, frozen=True):
    """The alarm that was muted; 0 is the end of a mute."""

    node: str
    name: str
    muted_until_ms: int
    ok: bool = True


class Rules(msgspec.Struct, frozen=True):
    """Every rule as it holds."""

    rules: list[Rule]


class RuleAdded(msgspec.Struct, frozen=True):
    """The rule as it holds now."""

    rule: Rule
    ok: bool = True


class RuleDeleted(msgspec.Struct, frozen=True):
    """The name of the rule that was deleted."""

    name: str
    ok: bool = True


async def alarms(request: Request) -> Response:
    """Answer ?node=&from=&to=&before=&limit=; the past ones newest first, of the last 30 days."""
    hub = hub_of(request)
    params = request.query_params
    node = NODE.read(params)
    now_ms = hub.now_ms()
    from_ms, to_ms = time_range(params, now_ms + 1, _DEFAULT_MS)
    before_ms = BEFORE.number(params, to_ms)
    limit = LIMIT.number(params)
    query = PastQuery(from_ms, min(to_ms, before_ms), limit + 1, node)
    past = await past_alarms(hub, query)
    active = [
        ActiveAlarm(**_fields(hub.alarms, it)) for it in hub.alarms.active if node in ("", it.node)
    ]
    return Json(Alarms(now_ms, active, past[:limit], has_more=len(past) > limit))


async def acknowledge(request: Request) -> Response:
    hub = hub_of(request)
    key = _key(request)
    alarm = hub.alarms.acknowledge(key, request.state.visitor.name, hub.now_ms())
    await _saved(hub.alarms)
    return Json(Acknowledged(**_fields(hub.alarms, alarm)))


async def mute(request: Request) -> Response:
    hub = hub_of(request)
    body = await read_json(request, MuteBody, _MUTE_USAGE)
    key = _key(request)
    until_ms = hub.now_ms() + round(body.minutes * 60_000) if body.minutes else 0
    hub.alarms.mute(key, until_ms)
    await _saved(hub.alarms)
    return Json(Muted(*key, until_ms))


async def rules(request: Request) -> Response:
    """Return every rule as it holds, with its source."""
    return Json(Rules(hub_of(request).alarms.book.every))


async def add_rule(request: Request) -> Response:
    """Add a rule, or replace the page's rule of that name, or a built-in one."""
    rule = _decoded(await read_body(request))
    monitor = hub_of(request).alarms
    _check_changeable(monitor, rule.name)
    async with _writing:
        await _replace(monitor, rules_file.with_rule(monitor.book.page_rules, rule))
    found = next(one for one in monitor.book.every if one.name == rule.name)
    return Json(RuleAdded(found))


async def delete_rule(request: Request) -> Response:
    """Delete a rule of the page; a built-in rule of its name holds again."""
    name = request.path_params["name"]
    monitor = hub_of(request).alarms
    _check_changeable(monitor, name)
    async with _writing:
        kept = [rule for rule in monitor.book.page_rules if rule.name != name]
        if len(kept) == len(monitor.book.page_rules):
            known = listed(rule.name for rule in monitor.book.page_rules)
            raise HTTPException(404, f"rule: found {name[:70]!r}, expected one of {known}")
        await _replace(monitor, kept)
    return Json(RuleDeleted(name))


def _fields(monitor: AlarmMonitor, alarm: Active) -> dict[str, Any]:
    muted_until_ms = monitor.muted_until_ms(alarm.key)
    return msgspec.structs.asdict(alarm) | {"muted_until_ms": muted_until_ms}


def _key(request: Request) -> Key:
    """Return node and name of an active alarm. Raises HTTPException."""
    key = request.path_params["node"], request.path_params["alarm"]
    known = hub_of(request).alarms.keys
    if key not in known:
        names = listed(sorted("/".join(one) for one in known))
        raise HTTPException(404, f"alarm: found {'/'.join(key)[:140]!r}, expected one of {names}")
    return key


async def _saved(monitor: AlarmMonitor) -> None:
    try:
        await monitor.file.written()
    except NotSavedError as e:
        raise HTTPException(503, f"done, but not on the disk yet: {e}") from e


def _decoded(body: bytes) -> AlarmConfig:
    try:
        found = msgspec.json.decode(body)
    # A number that is out of range, such as 1e400, is a ValidationError.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise HTTPException(400, f"found no rule: {e}; expected {_RULE_USAGE}") from e
    try:
        rule = msgspec.convert(found, AlarmConfig)
        check_rule(rule)
    except msgspec.ValidationError as e:
        raise HTTPException(400, f"{first_mistake(found, AlarmConfig) or e}") from e
    except MisconfiguredError as e:
        raise HTTPException(400, str(e)) from e
    return rule


def _check_changeable(monitor: AlarmMonitor, name: str) -> None:
    if monitor.book.is_fixed(name):
        raise HTTPException(409, f"name: found {name!r}, a rule of hub.toml; change it there")


async def _replace(monitor: AlarmMonitor, found: list[AlarmConfig]) -> None:
    """Write the rules and use them from now on."""
    if monitor.rules_path is None:
        raise HTTPException(503, "this hub keeps no rules")
    try:
        await asyncio.to_thread(rules_file.save, monitor.rules_path, found)
    except MisconfiguredError as e:
        raise HTTPException(503, str(e)) from e
    monitor.book.set_page_rules(found)


async def past_alarms(hub: Hub, query: PastQuery) -> list[Past]:
    """Return alarms of the history. Raises HTTPException where it cannot be read."""

    def read() -> list[Past]:
        with hub.open_history() as history:
            return history.past_alarms(query)

    async with _slots:
        try:
            return await asyncio.to_thread(read)
        except (sqlite3.Error, UnavailableError) as e:
            raise HTTPException(503, f"the history cannot be read: {e}") from e
