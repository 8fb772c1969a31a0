"""Return of many clients of one address after a kill of the broker: all are let in."""

import contextlib
from pathlib import Path

from broker.auth import accounts
from broker.auth.gate import Role
from tests.broker.embedded.killed import ACCOUNTS_NAME, killed
from tests.broker.embedded.raw import RawClient, connect
from tests.broker.embedded.switch import ours_only
from tests.support import WAIT_S, free_port

pytestmark = ours_only

CLIENTS = 200
PASSWORDS = ("first secret", "second secret", "third secret")
# An address that is not the machine's own for the broker, as one of a network.
NETWORK = "127.0.0.2"


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
        accounts.set_password(tmp_path / ACCOUNTS_NAME, f"user{n}", Role.OPERATOR, password)
    port = free_port()
    for _ in range(2):
        with killed(port, tmp_path):
            assert codes_of_all(port) == [0] * CLIENTS
