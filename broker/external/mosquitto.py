"""Configuration for Mosquitto 2: the accounts and the table of roles as its own files."""

from collections.abc import Iterator

import msgspec

from broker.auth.accounts import Accounts
from broker.auth.acl import Rights, covers, rights_of
from broker.auth.gate import Identity, Role, local_role
from broker.auth.open_topics import Scope
from bus.config.broker_table import LOOPBACK, BrokerConfig, LocalAccess
from bus.contract.topics import CHANNELS, topic_filter

ACL_NAME = "acl"
PASSWORDS_NAME = "passwords"
CONF_NAME = "harvester.conf"

_ACL_HEAD = """\
# Made by `harvester broker acl`: access rules as in topics.md.
# Mosquitto cannot except a topic from a pattern, so a node may also send itself commands, and an
# account whose open topics cover those of Home Assistant may change the hub's own there. It does
# not look at how the levels of a topic are spelled.
"""
_DEFAULT_SCOPE = Scope()


def acl(
    accounts: Accounts,
    *,
    allow_local: LocalAccess,
    scope: Scope = _DEFAULT_SCOPE,
    workers: int = 0,
) -> str:
    """Return the content of `acl_file`. Rules before any user are for clients without login.

    `workers` is the number of the hub's.
    """
    parts = [_ACL_HEAD]
    local = local_role(allow_local)
    if local is not None:
        parts.append(_section("", Identity("", local), scope))
    machines = dict.fromkeys(accounts.hub_users(workers), Role.HUB)
    machines |= dict.fromkeys(sorted(accounts.nodes), Role.NODE)
    parts += [
        _section(f"user {name}", Identity(name, role), scope) for name, role in machines.items()
    ]
    for name, person in sorted(accounts.people.items()):
        own = msgspec.structs.replace(scope, patterns=person.topics)
        # `use_username_as_clientid` makes the name the client identifier.
        parts.append(_section(f"user {name}", Identity(name, person.role, name), own))
    return "\n".join(parts)


def password_file(accounts: Accounts, *, workers: int = 0) -> str:
    """Return the content of `password_file`."""
    hashes = {name: machine.mosquitto for name, machine in accounts.nodes.items()}
    hashes |= {name: person.mosquitto for name, person in accounts.people.items()}
    hashes |= {name: hub.mosquitto for name, hub in accounts.hub_users(workers).items()}
    return "".join(f"{name}:{text}\n" for name, text in sorted(hashes.items()))


def conf(
    settings: BrokerConfig, folder: str, *, port: int, local_port: int, tls_folder: str = ""
) -> str:
    """Return lines for mosquitto.conf: a listener with login, and a local one without.

    `folder` is the folder of these two files for Mosquitto, `tls_folder` that of the certificates;
    an empty one means no TLS on `port`.
    """
    lines = [
        "# Made by `harvester broker acl`. Include it from mosquitto.conf.",
        "per_listener_settings true",
        f"max_packet_size {settings.packet_kb * 1024}",
        f"message_size_limit {settings.payload_bytes}",
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


def _section(head: str, identity: Identity, scope: Scope) -> str:
    rights, open_filters = rights_of(identity, scope)
    lines = [head] if head else []
    lines += [f"topic read {pattern}" for pattern in rights.read]
    lines += [f"topic write {pattern}" for pattern in _writable(rights, identity.name)]
    lines += [f"topic readwrite {pattern}" for pattern in open_filters]
    return "\n".join(lines) + "\n"


def _writable(rights: Rights, name: str) -> Iterator[str]:
    """Yield the writable patterns. With exceptions, these are the allowed kinds one by one."""
    if not rights.never:
        yield from rights.publish
        return
    for kind in CHANNELS:
        pattern = topic_filter(kind, name)
        allowed = any(covers(mine, pattern) for mine in rights.publish)
        if allowed and not any(covers(mine, pattern) for mine in rights.never):
            yield pattern
