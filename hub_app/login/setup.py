"""Setup of the log-in: from the configuration to who may enter."""

import time
from pathlib import Path

from broker.auth.password_check import PasswordCheck
from bus.config.hub_files import HubFiles
from bus.config.web_table import WebConfig
from hub_app.login import token_uses
from hub_app.login.api_tokens import ApiTokens
from hub_app.login.login import LogIn
from hub_app.login.people import AccountHolders, PasswordFile, People
from hub_app.login.token_uses import TokenUses


def create(settings: WebConfig, files: HubFiles, check: PasswordCheck) -> LogIn | None:
    """Return the log-in, or None where the page is open to everyone."""
    people: list[People] = []
    if settings.password:
        people.append(PasswordFile(Path(settings.password)))
    if settings.login:
        people.append(AccountHolders(files.accounts))
    if not people:
        return None
    uses = TokenUses(files.accounts.with_name(token_uses.FILE_NAME))
    return LogIn(people, check, time.monotonic, ApiTokens(files.accounts, uses))
