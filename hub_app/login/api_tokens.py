"""API tokens: programs that read over HTTP, or command, without a password."""

from pathlib import Path

from broker.auth import tokens
from broker.auth.accounts import AccountsFile
from hub_app.login.sessions import Visitor


class ApiTokens:
    """The tokens in the accounts file at `path`, which `harvester token` changes.

    Raises MisconfiguredError where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._file = AccountsFile(path)

    def find(self, token: str) -> Visitor | None:
        """Return the visitor with that token, as the file is now."""
        self._file.refresh()
        shown = token.encode(errors="surrogatepass")
        found = None
        # All are compared, so that the response time does not reveal which one is similar.
        for name, account in self._file.accounts.tokens.items():
            if tokens.verify(shown, account.token_sha256):
                found = Visitor(name, account.role)
        return found
