"""Errors of a join: refusals with the status of their answer."""

from http import HTTPStatus

from bus.errors import HarvesterError


class JoinRefusedError(HarvesterError):
    """A code that is wrong, expired or used, or a name that cannot be had."""

    def __init__(self, text: str, status: HTTPStatus) -> None:
        super().__init__(text)
        self.status = status
