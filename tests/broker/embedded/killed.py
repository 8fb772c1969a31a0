"""A broker in a process of its own, which is killed where it stands."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import PROJECT, WAIT_S, wait_until_listening

ACCOUNTS_NAME = "accounts.json"
SERVE = f"""
import asyncio, json, sys, time
from pathlib import Path
from broker.auth.account_gate import AccountGate
from broker.auth.password_check import PasswordCheck
from broker.server import EmbeddedBroker
from bus.config.broker_table import BrokerConfig
from tests.support import HOST, OpenGate

async def serve():
    folder = Path(sys.argv[2])
    settings = BrokerConfig(listen=HOST, port=int(sys.argv[1]), **json.loads(sys.argv[3]))
    accounts, gate = folder / {ACCOUNTS_NAME!r}, OpenGate()
    if accounts.exists():
        check = PasswordCheck(time.monotonic)
        gate = AccountGate(accounts, check, hub_token=None, allow_local=False)
    await EmbeddedBroker(settings, gate, store_dir=folder).start()
    await asyncio.Event().wait()

asyncio.run(serve())
"""


@contextmanager
def killed(port: int, folder: Path, **settings: Any) -> Iterator[None]:
    """Run a broker with the accounts in the folder, or open to all, and kill it at the end.

    `settings` are keys of the [broker] table.
    """
    arguments = [sys.executable, "-c", SERVE, str(port), str(folder), json.dumps(settings)]
    with subprocess.Popen(arguments, cwd=PROJECT) as process:
        try:
            wait_until_listening(port)
            yield
        finally:
            process.kill()
            process.wait(WAIT_S)
