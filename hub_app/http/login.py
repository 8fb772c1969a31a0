"""Log-in form, which needs no script, log-out, and `GET /api/session`."""

import html
import math
from http import HTTPStatus
from string import Template
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from broker.auth.gate import Role
from broker.auth.password_check import TooManyAttemptsError
from bus.errors import BadDataError
from hub_app.http.responses import PAGE_DIR, Json, read_body, url_of
from hub_app.http.session_gate import COOKIE, LOG_IN_PATH, LOG_OUT_PATH, token_of
from hub_app.http.views.paths import next_path
from hub_app.login.login import LogIn, WrongPasswordError
from hub_app.login.sessions import MAX_AGE_S, Visitor

_PAGE = PAGE_DIR / "frame" / "login.html"
_MAX_FIELDS = 10


class Session(msgspec.Struct, frozen=True):
    """The visitor; `login`: whether this hub asks for a log-in at all."""

    login: bool
    name: str
    role: Role


class _Form(msgspec.Struct, frozen=True):
    """The content of the form: the view that it leads to, a name, and what was wrong."""

    wanted: str = "/"
    name: str = ""
    error: str = ""


class _BadFormError(BadDataError):
    """A request body that does not come from the log-in form."""


def routes() -> list[Route]:
    """Return the routes of the form and of the log-out."""
    return [
        Route(LOG_IN_PATH, show),
        Route(LOG_IN_PATH, enter, methods=["POST"]),
        Route(LOG_OUT_PATH, leave, methods=["POST"]),
    ]


async def show(request: Request) -> Response:
    """Show the form, or the view that `next` names to a browser that is logged in already."""
    wanted = next_path(request.query_params)
    if request.state.visitor is not None:
        return RedirectResponse(url_of(request, wanted), HTTPStatus.SEE_OTHER)
    return _form(request, _Form(wanted))


async def enter(request: Request) -> Response:
    log_in: LogIn | None = request.app.state.log_in
    if log_in is None:
        return RedirectResponse(url_of(request, "/"), HTTPStatus.SEE_OTHER)
    name, wanted = "", "/"
    try:
        fields = _fields(await read_body(request))
        wanted = next_path(fields)
        name, password = _name_and_password(fields)
        token = await log_in.enter(request.client.host if request.client else "", name, password)
    except _BadFormError as e:
        return _form(request, _Form(wanted, error=str(e)), HTTPStatus.BAD_REQUEST)
    except WrongPasswordError as e:
        return _form(request, _Form(wanted, name, str(e)), HTTPStatus.UNAUTHORIZED)
    except TooManyAttemptsError as e:
        wait_s = str(math.ceil(e.wait_s))
        headers = {"Retry-After": wait_s}
        return _form(request, _Form(wanted, name, str(e)), HTTPStatus.TOO_MANY_REQUESTS, headers)
    # A new log-in replaces the browser's earlier session.
    log_in.leave(token_of(request))
    return _logged_in(request, token, wanted)


def _logged_in(request: Request, token: str, wanted: str) -> Response:
    answer = RedirectResponse(url_of(request, wanted), HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=round(MAX_AGE_S),
        path=url_of(request, "/"),
        httponly=True,
        # A link on another site shows the page; `guard` refuses commands of other sites.
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


async def leave(request: Request) -> Response:
    log_in: LogIn | None = request.app.state.log_in
    if log_in is not None:
        log_in.leave(token_of(request))
    answer = RedirectResponse(url_of(request, LOG_IN_PATH), HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE, url_of(request, "/"), httponly=True, samesite="lax")
    return answer


async def session(request: Request) -> Response:
    """Return the name and role of this browser's visitor; without log-in, of an operator."""
    visitor: Visitor = request.state.visitor
    has_login = request.app.state.log_in is not None
    return Json(Session(has_login, visitor.name, visitor.role))


def _fields(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as e:
        raise _BadFormError("found no form, expected name and password") from e
    return {name: values[0] for name, values in fields.items()}


def _name_and_password(fields: dict[str, str]) -> tuple[str, str]:
    name, password = (fields.get(field, "") for field in ("name", "password"))
    if not name or not password:
        raise _BadFormError("type your name and your password")
    return name.strip(), password


def _form(
    request: Request,
    form: _Form,
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response:
    page = Template(_PAGE.read_text(encoding="utf-8"))
    text = page.substitute(
        root=url_of(request, ""),
        error=html.escape(form.error),
        name=html.escape(form.name),
        next=html.escape(form.wanted),
    )
    return HTMLResponse(text, status, headers)
