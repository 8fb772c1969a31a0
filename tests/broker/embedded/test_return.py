"""Return of many clients of one address after a kill of the broker: all are let in."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from broker.auth import accounts
from broker.auth.gate import Role
from tests.broker.embedded.raw import RawClient, connect
from tests.broker.embedded.switch import ours_only
from tests.support import PROJECT, WAIT_S, free_port, wait_until_listening

pytestmark = ours_only

CLIENTS = 200
PASSWORDS = ("first secret", "second secret", "third secret")
# An address that is not the machine's own for the broker, as one of a network.
NETWORK = "127.0.0.2"

SERVE = """
import asyncio, sys, time
from pathlib import Path
from broker.auth.account_gate import AccountGate
from broker.auth.password_check import PasswordCheck
from broker.server import EmbeddedBroker
from bus.config.broker_table import BrokerConfig
from tests.support import HOST

async def serve():
    settings = BrokerConfig(listen=HOST, port=int(sys.argv[1]))
    folder = Path(sys.argv[2])
    check = PasswordCheck(time.monotonic)
    gate = AccountGate(folder / "accounts.json", check, hub_token=None, allow_local=False)
    await EmbeddedBroker(settings, gate, store_dir=folder).start()
    await asyncio.Event().wait()

asyncio.run(serve())
"""


@contextlib.contextmanager
def killed(port: int, folder: Path) -> Iterator[None]:
    arguments = [sys.executable, "-c", SERVE, str(port), str(folder)]
    with subprocess.Popen(arguments, cwd=PROJECT) as process:
        try:
            wait_until_listening(port)
            yield
        finally:
            process.kill()
            process.wait(WAIT_S)


def codes_of_all(port: int) -> list[int | None]:
    """Connect all clients at once; return the code of each CONNACK."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(port, source=NETWORK)) for _ in range(CLIENTS)]
        for n, client in enumerate(clients):
            which = n % len(PASSWORDS)
            password = PASSWORDS[which].encode()
            client.send(connect(f"device{n}", username=f"user{which}", password=password))
        answers = [client.read(WAIT_S) for client in clients]
    return [answer and answer[1][1] for answer in answers]


def test_all_clients_of_one_address_return_at_once_after_a_kill(tmp_path: Path) -> None:
    for n, password in enumerate(PASSWORDS):
        accounts.set_password(tmp_path / "accounts.json", f"user{n}", Role.OPERATOR, password)
    port = free_port()
    for _ in range(2):
        with killed(port, tmp_path):
            assert codes_of_all(port) == [0] * CLIENTS
