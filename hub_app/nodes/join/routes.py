"""Routes below `/join/{code}`: script, wheels, login and progress of a new machine.

They are served by the join listener alone, over TLS alone. GETs carry no secret; the POST takes
hashes and returns no token.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from bus.contract.join import JoinAnswer, JoinRequest, JoinStatus
from bus.errors import HarvesterError, UnavailableError
from hub_app.http.api.operation import Answer, Body, Operation, json
from hub_app.http.formats.query_params import Parameter
from hub_app.http.responses import Json, read_json
from hub_app.nodes.join.codes import JoinCode
from hub_app.nodes.join.errors import JoinRefusedError
from hub_app.nodes.join.script import refusal
from hub_app.nodes.join.service import JoinService

T = TypeVar("T")

logger = logging.getLogger(__name__)

MACHINE = Parameter("machine", "Architecture of the machine, as `uname -m` prints it", True)
EXTRAS = Parameter("extras", "Extras that it installs: agent, pi; separated by commas")
_USAGE = "the body that `harvester join` sends"
_SHELL = "text/x-shellscript"
_MOST_CHARS = 64
_ERRORS = (404, 410, 429, 503)


async def show_script(request: Request) -> Response:
    """Answer a script in any case: a root shell reads the answer. A refusal prints a sentence."""
    try:
        service, found = await _checked(request)
        code, asked = request.path_params["code"], _asked(request)
        text = await _in_thread(lambda: service.script(found, code, asked))
    except HTTPException as e:
        return PlainTextResponse(refusal(e.detail), e.status_code, media_type=_SHELL)
    logger.info("%s fetched the script that makes it %s", _address(request), found.node)
    return PlainTextResponse(text, media_type=_SHELL)


async def list_wheels(request: Request) -> Response:
    """Answer one name a line, our own wheel first: easy to read for a shell."""
    service, _ = await _checked(request)
    machine, extras = asking_machine(request)
    names = await _in_thread(lambda: service.wheels.names(machine, extras))
    return PlainTextResponse("".join(f"{name}\n" for name in names))


def asking_machine(request: Request) -> tuple[str, list[str]]:
    """Return architecture and extras of the machine that asks for wheels."""
    machine = MACHINE.read(request.query_params)[:_MOST_CHARS]
    return machine, EXTRAS.read(request.query_params)[:_MOST_CHARS].split(",")


async def send_wheel(request: Request) -> Response:
    service, _ = await _checked(request)
    return wheel_response(
        await _in_thread(lambda: service.wheels.path(request.path_params["wheel"]))
    )


def wheel_response(path: Path | None) -> Response:
    if path is None:
        raise HTTPException(404, "found no such wheel")
    return FileResponse(path, media_type="application/zip")


async def make_login(request: Request) -> Response:
    service, found = await _checked(request)
    body = await read_json(request, JoinRequest, _USAGE)
    code, asked = request.path_params["code"], _asked(request)
    answer = await _in_thread(lambda: service.join(code, body, asked))
    chips = ", ".join(body.found) or "no chips"
    what = (found.node, body.host, _address(request), body.machine, body.model, chips)
    logger.info("%s: %s at %s has its login (%s %s; %s)", *what)
    return Json(answer)


async def tell_status(request: Request) -> Response:
    service, found = await _checked(request)
    return Json(service.status(found))


async def _checked(request: Request) -> tuple[JoinService, JoinCode]:
    """Return the service and the code of a request, which is right."""
    service: JoinService = request.app.state.joins
    code = request.path_params["code"]
    return service, await _in_thread(lambda: service.check(_address(request), code))


async def _in_thread(call: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(call)
    except JoinRefusedError as e:
        raise HTTPException(e.status, str(e)) from e
    except UnavailableError as e:
        raise HTTPException(503, str(e)) from e
    except HarvesterError as e:
        logger.error("a machine cannot join: %s", e)  # noqa: TRY400 - the text has the cause
        raise HTTPException(503, str(e)) from e


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _asked(request: Request) -> str:
    """Return the host by which the machine asked; it is used only where the certificate has it."""
    return request.url.hostname or ""


OPERATIONS = (
    Operation(
        method="GET",
        path="/join/{code}",
        endpoint=show_script,
        summary="The script that makes a machine a node",
        group="join",
        answers={200: Answer(media={_SHELL: str})},
        errors=_ERRORS,
        is_open=True,
    ),
    Operation(
        method="POST",
        path="/join/{code}",
        endpoint=make_login,
        summary="Make the login of the machine that sends hashes of its token; uses the code",
        group="join",
        answers=json(JoinAnswer),
        body=Body(
            JoinRequest,
            {
                "nonce": "0" * 32,
                "token_sha256": "0" * 64,
                "mosquitto": f"$7$101${'A' * 16}${'A' * 86}==",
                "host": "raspberrypi",
                "machine": "aarch64",
            },
        ),
        errors=(400, 413, *_ERRORS),
        is_open=True,
    ),
    Operation(
        method="GET",
        path="/join/{code}/status",
        endpoint=tell_status,
        summary="How far the join is",
        group="join",
        answers=json(JoinStatus),
        errors=_ERRORS,
        is_open=True,
    ),
    Operation(
        method="GET",
        path="/join/{code}/wheels",
        endpoint=list_wheels,
        summary="Names of the wheels for an architecture, one a line, HARVESTER's own first",
        group="join",
        answers={200: Answer(media={"text/plain": str})},
        parameters=(MACHINE, EXTRAS),
        errors=(400, *_ERRORS),
        is_open=True,
    ),
    Operation(
        method="GET",
        path="/join/{code}/wheels/{wheel}",
        endpoint=send_wheel,
        summary="One wheel",
        group="join",
        answers={200: Answer(media={"application/zip": bytes})},
        errors=_ERRORS,
        is_open=True,
    ),
)
