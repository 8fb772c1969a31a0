"""`POST /api/buzzer`, `leds`, `fan`, `plugins` and `names`: commands to nodes."""

from typing import Annotated

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.bounds import FieldName, Name, Word
from bus.contract.commands import PATTERNS, PluginAction
from bus.contract.description import SettingValue
from bus.contract.messages import FanMode
from bus.contract.topics import TopicKind
from bus.errors import BadCommandError
from hub_app.http.formats.query_params import Parameter
from hub_app.http.responses import Json, check_node, hub_of, listed, read_json
from hub_app.hub import Hub
from hub_app.live.commander import BusDownError, NoAnswerError
from hub_app.live.state import State

# The HTTP status for each error of a command.
_STATUS_OF_ERROR = {BadCommandError: 502, BusDownError: 503, NoAnswerError: 504}
_BUZZER_USAGE = '?action=beep or {"pattern": "beep"}'
_PLUGIN_USAGE = (
    '{"node": "pi4", "plugin": "dht22", "action": "reload"}, or enable, or disable, or record, '
    'or set with "settings": {"high_c": 28.0} and, for one of its sensors, "sensor": "dht22-gpio4"'
)
_LEDS_USAGE = '{"node": "pi4", "index": 5, "color": "#ff8800"} or {"node": "pi4", "all": "#000000"}'
_FAN_USAGE = '{"node": "pi4", "mode": "auto"}, or on, or off'
_NAMES_USAGE = '{"node": "pi4", "sensor": "dht22-gpio4", "title": "Desk", "area": "Office"}'

PatternName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(PATTERNS)})]
ACTION = Parameter("action", f"Pattern, in place of a body: {', '.join(PATTERNS)}")
NODE = Parameter("node", "Id of a node, with `action`; default: the first that has a buzzer")


class BuzzerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /api/buzzer."""

    pattern: PatternName
    node: str | None = None


class LedsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of POST /api/leds; the node checks what it names."""

    node: str
    index: int | None = None
    color: Word | None = None
    all: Word | None = None


class FanBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /api/fan."""

    node: str
    mode: FanMode


class PluginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of POST /api/plugins.

    `settings` of the plugin, or of one `sensor`, go with the action `set`; the node checks them.
    """

    node: str
    plugin: str
    action: PluginAction
    settings: dict[FieldName, SettingValue | None] = {}
    sensor: Name | None = None


class NamesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of POST /api/names: of a sensor, or of the node itself; an absent part stays."""

    node: Name
    sensor: Name | None = None
    title: Word | None = None
    area: Word | None = None


class CommandDone(msgspec.Struct, frozen=True):
    """A command that its node has carried out at `finished_ms`; its keys stand beside these."""

    node: str
    finished_ms: int
    ok: bool = True


async def buzzer(request: Request) -> Response:
    action = request.query_params.get(ACTION.name)
    if action is not None:
        return await _sound_buzzer(hub_of(request), request.query_params.get(NODE.name), action)
    body = await read_json(request, BuzzerBody, _BUZZER_USAGE)
    return await _sound_buzzer(hub_of(request), body.node, body.pattern)


async def buzzer_test(request: Request) -> Response:
    return await _sound_buzzer(hub_of(request), None, "beep")


async def leds(request: Request) -> Response:
    return await _command(request, "leds", await read_json(request, LedsBody, _LEDS_USAGE))


async def fan(request: Request) -> Response:
    return await _command(request, "fan", await read_json(request, FanBody, _FAN_USAGE))


async def plugins(request: Request) -> Response:
    return await _command(request, "plugins", await read_json(request, PluginBody, _PLUGIN_USAGE))


async def names(request: Request) -> Response:
    return await _command(request, "names", await read_json(request, NamesBody, _NAMES_USAGE))


def default_buzzer_node(state: State) -> str | None:
    """Return the node whose buzzer sounds where none is named: the first that has one."""
    return next((entry.node for entry in state.of_kind(TopicKind.BUZZER)), None)


async def _sound_buzzer(hub: Hub, node: str | None, pattern: str) -> Response:
    if pattern not in PATTERNS:
        raise HTTPException(
            400, f"pattern: found {pattern[:40]!r}, expected one of {listed(PATTERNS)}"
        )
    node = node or default_buzzer_node(hub.state)
    if node is None:
        raise HTTPException(404, "no node has a buzzer")
    return await _send(hub, node, "buzzer", {"pattern": pattern})


async def _command(request: Request, actuator: str, body: msgspec.Struct) -> Response:
    """Send all of `body` but its `node` as a command to that node's actuator."""
    command = msgspec.to_builtins(body)
    return await _send(hub_of(request), command.pop("node"), actuator, command)


async def _send(hub: Hub, node: str, actuator: str, command: dict[str, object]) -> Response:
    check_node(hub.state, node)
    try:
        result = await hub.commander.command(node, actuator, command)
    except (BadCommandError, BusDownError, NoAnswerError) as e:
        raise HTTPException(_STATUS_OF_ERROR[type(e)], str(e)) from e
    done = msgspec.to_builtins(CommandDone(node, result.finished_ms))
    return Json(command | done)
