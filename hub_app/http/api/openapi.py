"""`GET /api/openapi.json`: the OpenAPI 3.1 document, written from the table of operations.

Types become JSON Schema by msgspec, statuses and parameters come from the table.
"""

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.bounds import Name
from bus.contract.topics import NAME_PATTERN
from bus.install.version import VERSION
from hub_app.http.api.operation import JSON, Answer, Operation
from hub_app.http.formats.query_params import Parameter
from hub_app.http.responses import Json, Refusal
from hub_app.http.session_gate import COOKIE

VERSION_OF_OPENAPI = "3.1.0"
_ABOUT = """What HARVESTER's hub answers over HTTP. docs/http.md has examples.

Times are Unix milliseconds, UTC, unless a name ends otherwise. An error is a JSON object with `ok`
false and `error`, a sentence that says what was found and what was expected. Where `[web]` in
hub.toml asks for a log-in, a program shows a token of `harvester token add` and a browser the
cookie of its session. A viewer's token reads; commands need an operator's."""
_TAGS = {
    "live": "What holds now",
    "history": "What is stored",
    "alarms": "Alarms and their rules",
    "commands": "Commands to nodes; the answer comes when the node has carried it out",
    "join": "New machines that become nodes",
    "hub": "The hub itself",
}
# Status of a refusal that any operation may answer.
_EVERYWHERE = (HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_MANY_REQUESTS)
_GUARDED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `harvester token add NAME --role viewer|operator`",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "Set by POST /login with the form fields name and password",
    },
}
_SENSOR_PATTERN = f"{NAME_PATTERN.removesuffix(chr(92) + 'Z')}:{NAME_PATTERN[1:]}"
# The parameters in paths: their types and meanings.
_IN_PATHS = {
    "node": (Name, "Id of a node"),
    "alarm": (Name, "Name of an alarm"),
    "name": (Name, "Name of a rule"),
    "plugin": (Name, "Name of a plugin"),
    "sensor": (
        Annotated[str, msgspec.Meta(pattern=_SENSOR_PATTERN)],
        "Id of a sensor: pi4:dht22-gpio4",
    ),
}
_REFERENCE = "#/components/schemas/{name}"
_IN_PATH = re.compile(r"{(\w+)}")


async def openapi(request: Request) -> Response:
    return Json(request.app.state.openapi)


def document(operations: Sequence[Operation], root_path: str = "") -> dict[str, Any]:
    """Return the OpenAPI document; `root_path` is the prefix of the page's URLs."""
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _described(operation, schemas)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": VERSION_OF_OPENAPI,
        "info": {"title": "HARVESTER", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": root_path or "/"}],
        "security": _SECURITY,
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SCHEMES},
    }


class _Schemas:
    """JSON Schemas of all types of the operations; the named ones are in `components`."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        types = {repr(each): each for operation in operations for each in _types(operation)}
        found, components = msgspec.json.schema_components(types.values(), ref_template=_REFERENCE)
        self.components = _plain(components)
        self._by_type = dict(zip(types, map(_plain, found), strict=True))

    def of(self, type_: Any) -> dict[str, Any]:
        """Return the schema of a type, which a caller may add to."""
        return dict(self._by_type[repr(type_)])


def _types(operation: Operation) -> Iterator[Any]:
    yield Refusal
    for answer in operation.answers.values():
        yield from answer.types
        yield from answer.media.values()
    if operation.body is not None:
        yield operation.body.type
    for parameter in operation.parameters:
        yield parameter.type
    for name in _IN_PATH.findall(operation.path):
        yield _IN_PATHS[name][0]


def _plain(schema: Any) -> Any:
    r"""Return a schema in the words of ECMA-262 and OpenAPI.

    Python's end of a text in patterns is `\Z`.
    """
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _plain(value) for key, value in schema.items()}
    if isinstance(made.get("pattern"), str):
        made["pattern"] = made["pattern"].replace(r"\Z", "$")
    if isinstance(made.get("description"), str):
        made["description"] = re.sub(r"\n +", "\n", made["description"])
    return made


def _described(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _id_of(operation),
        "tags": [operation.group],
        "parameters": [
            *(_in_path(name, schemas) for name in _IN_PATH.findall(operation.path)),
            *(_in_query(each, schemas) for each in operation.parameters),
        ],
        "responses": _responses(operation, schemas),
    }
    if operation.is_open:
        described["security"] = [{}, *_SECURITY]
    if operation.body is not None:
        schema, example = schemas.of(operation.body.type), dict(operation.body.example)
        described["requestBody"] = {
            "required": operation.body.is_required,
            "content": {JSON: {"schema": schema, "example": example}},
        }
    return described


def _id_of(operation: Operation) -> str:
    """Return a name for generated clients: get_api_history."""
    return re.sub(r"\W+", "_", f"{operation.method.lower()}{operation.path}").strip("_")


def _in_path(name: str, schemas: _Schemas) -> dict[str, Any]:
    type_, about = _IN_PATHS[name]
    schema = schemas.of(type_)
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema}


def _in_query(parameter: Parameter, schemas: _Schemas) -> dict[str, Any]:
    schema = schemas.of(parameter.type)
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.is_list:
        schema = {"type": "array", "items": schema}
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.about,
        "schema": schema,
    }


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    guarded = () if operation.is_open else _GUARDED
    refusals = sorted({*operation.errors, *_EVERYWHERE, *guarded} - operation.answers.keys())
    answers = {str(status): _response(it, schemas) for status, it in operation.answers.items()}
    refusal = {JSON: {"schema": schemas.of(Refusal)}}
    return answers | {
        str(status): {"description": HTTPStatus(status).phrase, "content": refusal}
        for status in refusals
    }


def _response(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    content = {
        media: {"schema": _of_media(type_, schemas)} for media, type_ in answer.media.items()
    }
    found = [schemas.of(type_) for type_ in answer.types]
    if found:
        content[JSON] = {"schema": found[0] if len(found) == 1 else {"anyOf": found}}
    return {"description": answer.about} | ({"content": content} if content else {})


def _of_media(type_: Any, schemas: _Schemas) -> dict[str, Any]:
    """Return the schema of a content that is no JSON; OpenAPI 3.1 has none for raw bytes."""
    return {} if type_ is bytes else schemas.of(type_)
