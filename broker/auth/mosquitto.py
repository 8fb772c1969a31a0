"""The same accounts and the same table of roles, as Mosquitto 2 reads them."""

from collections.abc import Iterator

from broker.auth.accounts import HUB_USER, Accounts
from broker.auth.acl import ROLES, covers, of_own
from broker.auth.gate import Role
from bus.config.broker_table import LOOPBACK, BrokerConfig
from bus.contract.topics import CHANNELS, topic_filter

ACL_NAME = "acl"
PASSWORDS_NAME = "passwords"
CONF_NAME = "harvester.conf"

_ACL_HEAD = """\
# Made by `harvester broker acl`: who may do what, as topics.md has it.
# Mosquitto cannot except a topic from a pattern, so a node may also command its own plugins; and it
# does not look at how the levels of a topic are spelled.
"""


def acl(accounts: Accounts, *, allow_local: bool) -> str:
    """Return the file `acl_file`. What stands before the first user is for who has no login."""
    parts = [_ACL_HEAD]
    if allow_local:
        parts.append(_section("", Role.OPERATOR, ""))
    if accounts.hub is not None:
        parts.append(_section(f"user {HUB_USER}", Role.HUB, HUB_USER))
    parts += [_section(f"user {name}", Role.NODE, name) for name in sorted(accounts.nodes)]
    parts += [
        _section(f"user {name}", person.role, name)
        for name, person in sorted(accounts.people.items())
    ]
    return "\n".join(parts)


def password_file(accounts: Accounts) -> str:
    """Return the file `password_file`."""
    hashes = {name: machine.mosquitto for name, machine in accounts.nodes.items()}
    hashes |= {name: person.mosquitto for name, person in accounts.people.items()}
    if accounts.hub is not None:
        hashes[HUB_USER] = accounts.hub.mosquitto
    return "".join(f"{name}:{text}\n" for name, text in sorted(hashes.items()))


def conf(
    settings: BrokerConfig, folder: str, *, port: int, local_port: int, tls_folder: str = ""
) -> str:
    """Return lines for mosquitto.conf: a listener that asks for a login, and this machine's own.

    `folder` is where Mosquitto finds the two files, `tls_folder` where it finds the certificates,
    if it is to use TLS on `port`.
    """
    lines = [
        "# Made by `harvester broker acl`. Include it from mosquitto.conf.",
        "per_listener_settings true",
        f"max_packet_size {settings.packet_kb * 1024}",
        f"max_inflight_messages {settings.in_flight}",
        f"max_queued_messages {settings.queued_messages}",
        "",
        f"listener {port} {settings.listen}",
        "allow_anonymous false",
        *_files(folder),
        "# Nobody takes over another's connection; a person has one at a time.",
        "use_username_as_clientid true",
    ]
    if tls_folder:
        lines += [
            f"certfile {tls_folder}/hub.pem",
            f"keyfile {tls_folder}/hub.key",
            "tls_version tlsv1.2",
        ]
    if settings.allow_local:
        lines += ["", f"listener {local_port} {LOOPBACK}", "allow_anonymous true", *_files(folder)]
    return "\n".join(lines) + "\n"


def _files(folder: str) -> list[str]:
    return [f"password_file {folder}/{PASSWORDS_NAME}", f"acl_file {folder}/{ACL_NAME}"]


def _section(head: str, role: Role, name: str) -> str:
    lines = [head] if head else []
    lines += [f"topic read {of_own(pattern, name)}" for pattern in ROLES[role].read]
    lines += [f"topic write {pattern}" for pattern in _writable(role, name)]
    return "\n".join(lines) + "\n"


def _writable(role: Role, name: str) -> Iterator[str]:
    """Yield what may be published. Exceptions leave the kinds of topics there are, one by one."""
    rights = ROLES[role]
    if not rights.never:
        yield from (of_own(pattern, name) for pattern in rights.publish)
        return
    never = [of_own(pattern, name) for pattern in rights.never]
    for kind in CHANNELS:
        pattern = topic_filter(kind, name)
        allowed = any(covers(of_own(mine, name), pattern) for mine in rights.publish)
        if allowed and not any(covers(mine, pattern) for mine in never):
            yield pattern
