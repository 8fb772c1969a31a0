"""Operations of the HTTP interface: one method of one path, with all that is documented of it.

The same object becomes the route, in `hub_app.http.app`, and its part of the OpenAPI document, in
`hub_app.http.api.openapi`. So no route below `/api` is undocumented, and no documented one missing.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub_app.http.formats.query_params import Parameter
from hub_app.http.guard import SAFE_METHODS

Endpoint = Callable[[Request], Awaitable[Response]]
JSON = "application/json"


class Body(msgspec.Struct, frozen=True):
    """The JSON body of a request, with an example."""

    type: Any
    example: Mapping[str, object]
    is_required: bool = True


class Answer(msgspec.Struct, frozen=True):
    """Content of an answer: its types as JSON, or media types with the type of their content.

    Several types are alternatives, by the parameters of the request.
    """

    types: tuple[Any, ...] = ()
    media: Mapping[str, Any] = {}
    about: str = "Done"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of a path. `answers` and `errors` are by status; some errors every one has."""

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    group: str
    answers: Mapping[int, Answer]
    parameters: Sequence[Parameter] = ()
    body: Body | None = None
    errors: Sequence[int] = ()
    # Answered without a log-in.
    is_open: bool = False

    @property
    def is_command(self) -> bool:
        """Whether a viewer is refused."""
        return self.method not in SAFE_METHODS


def json(*types: Any, about: str = "Done") -> Mapping[int, Answer]:
    """Return the answers of an operation that answers one of `types`."""
    return {200: Answer(types, about=about)}


def routes(operations: Iterable[Operation]) -> list[Route]:
    """Return a route for each path; the operations of one path stand together."""
    return [
        _route(path, {each.method: each.endpoint for each in of_path})
        for path, of_path in groupby(operations, key=lambda each: each.path)
    ]


def _route(path: str, endpoints: Mapping[str, Endpoint]) -> Route:
    async def endpoint(request: Request) -> Response:
        # Starlette adds HEAD where there is GET.
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method](request)

    return Route(path, endpoint, methods=list(endpoints))
