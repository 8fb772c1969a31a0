"""API tokens: programs that read over HTTP, or command, without a password."""

import logging
from collections.abc import Callable
from pathlib import Path

from broker.auth import tokens
from broker.auth.accounts import AccountsFile
from bus.clock import now_ms
from bus.limited_log import LimitedLog
from hub_app.login.sessions import Visitor
from hub_app.login.token_uses import TokenUses

logger = logging.getLogger(__name__)


class ApiTokens:
    """The tokens in the accounts file at `path`, which `harvester token` changes.

    Raises MisconfiguredError where the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        uses: TokenUses | None = None,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._file = AccountsFile(path)
        self._clock_ms = clock_ms
        self._limited_log = LimitedLog(logger)
        self.uses = uses or TokenUses()

    def find(self, token: str) -> Visitor | None:
        """Return the visitor with that token, as the file is now; None where it has expired."""
        self._file.refresh()
        shown = token.encode(errors="surrogatepass")
        found = None
        # All are compared, so that the response time does not reveal which one is similar.
        for name, account in self._file.accounts.tokens.items():
            if tokens.verify(shown, account.token_sha256):
                found = name, account
        if found is None:
            return None
        name, account = found
        if account.expires_ms is not None and self._clock_ms() >= account.expires_ms:
            self._limited_log.warning(name, "the token %s has expired", name)
            return None
        self.uses.note(name)
        return Visitor(name, account.role)

    def refresh(self) -> None:
        """Forget the uses of tokens that are gone. Call it regularly."""
        self._limited_log.sweep()
        self._file.refresh()
        self.uses.keep_only(set(self._file.accounts.tokens))
