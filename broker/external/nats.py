"""Configuration of a NATS server with MQTT: the accounts and the table of roles as one file."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from broker.auth.accounts import Accounts
from broker.auth.acl import rights_of
from broker.auth.gate import Identity, Role
from broker.auth.open_topics import Scope
from bus.config.broker_table import BrokerConfig
from bus.errors import MisconfiguredError

CONF_NAME = "harvester.conf"

# NATS allows 65,535 unacknowledged messages for all QoS 1 filters of a session together, and `#`
# counts as two filters. A hub has five, a node with a display six.
_MAX_ACK_PENDING = 8_000
# From the connection to the CONNECT's answer: many nodes that return at once have their hashes made
# one after the other, for which the server's own 2 s are short.
_AUTH_TIMEOUT_S = 30
# The server delivers messages of QoS 1 by subjects of its own.
_DELIVERIES = "$MQTT.sub.>"
# Levels of a topic that are tokens of a subject as they are. In a subject, `*` and `>` would stand
# for the topics of other accounts.
_LEVELS = re.compile(r"[^/.*>\s]+(/[^/.*>\s]+)*\Z")
_DEFAULT_SCOPE = Scope()

_HEAD = """\
# Made by `harvester broker acl --format nats`: access rules as in topics.md. Include it from
# nats-server.conf, which also needs server_name, jetstream and, for several servers, cluster.
# NATS does not bind a client identifier to its user: a node's login can end another's connection.
# There is no access without a login, and no $SYS topic. An account whose open topics cover those of
# Home Assistant may change the hub's own there.
"""


def conf(  # noqa: PLR0913 - all that the file depends on
    accounts: Accounts,
    settings: BrokerConfig,
    *,
    port: int,
    tls_folder: str = "",
    scope: Scope = _DEFAULT_SCOPE,
    workers: int = 0,
) -> str:
    """Return the content of the file. `tls_folder` empty means no TLS on `port`.

    Raises MisconfiguredError where an account has no hash that NATS can check, or topics that NATS
    has no subjects for.
    """
    lines = [_HEAD, "mqtt {", f"  host: {_quoted(settings.listen)}", f"  port: {port}"]
    lines.append(f"  max_ack_pending: {_MAX_ACK_PENDING}")
    if tls_folder:
        files = {"cert_file": "hub.pem", "key_file": "hub.key"}
        texts = (f"{key}: {_quoted(f'{tls_folder}/{name}')}" for key, name in files.items())
        lines.append(f"  tls {{ {', '.join(texts)} }}")
    lines += ["}", "", "authorization {", f"  timeout: {_AUTH_TIMEOUT_S}", "  users: ["]
    for identity, password, patterns in _users(accounts, workers):
        _check_patterns(identity.name, patterns)
        lines += _user(identity, password, msgspec.structs.replace(scope, patterns=patterns))
    return "\n".join([*lines, "  ]", "}", ""])


def _users(accounts: Accounts, workers: int) -> list[tuple[Identity, str, tuple[str, ...]]]:
    """Return each user with the hash of its password and its patterns of open topics."""
    hubs, nodes, people = accounts.hub_users(workers), accounts.nodes, accounts.people
    users: list[tuple[Identity, str, tuple[str, ...]]] = []
    users += [(Identity(name, Role.HUB), hub.nats, ()) for name, hub in hubs.items()]
    users += [(Identity(name, Role.NODE), one.nats, ()) for name, one in sorted(nodes.items())]
    users += [
        (Identity(name, one.role, name), one.nats, one.topics)
        for name, one in sorted(people.items())
    ]
    without = [identity.name for identity, password, _ in users if not password]
    if without:
        raise MisconfiguredError(
            f"found no bcrypt hash of {', '.join(without)}: accounts that were made without "
            "broker.url, and passwords of more than 72 bytes, have none; run `harvester enroll` or "
            "`harvester passwd` again for them"
        )
    return users


def _check_patterns(name: str, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        if not _LEVELS.match(pattern):
            raise MisconfiguredError(
                f"the account {name}: found the topics {pattern!r}, expected levels that are not "
                "empty, without spaces, '.', '*' and '>': NATS has other meanings for them; run "
                "`harvester passwd` again with other topics"
            )


def _user(identity: Identity, password: str, scope: Scope) -> Iterator[str]:
    rights, open_filters = rights_of(identity, scope)
    writable = (*rights.publish, *open_filters)
    publish = f"allow: {_subjects(writable)}"
    if rights.never:
        publish += f", deny: {_subjects(rights.never)}"
    if not writable:
        publish = 'deny: [">"]'
    read = _subjects((*rights.read, *open_filters), more=(_DELIVERIES,))
    yield f"    {{ user: {_quoted(identity.name)}, password: {_quoted(password)},"
    yield '      allowed_connection_types: ["MQTT"],'
    yield "      permissions: {"
    yield f"        publish: {{ {publish} }}"
    yield f"        subscribe: {{ allow: {read} }}"
    yield "      } }"


def _subjects(patterns: Iterable[str], *, more: Iterable[str] = ()) -> str:
    """Return the subjects of MQTT patterns as a list; topics of a broker itself have none."""
    subjects = [subject for pattern in patterns for subject in _subject(pattern)]
    return _encoded([*subjects, *more])


def _subject(pattern: str) -> Iterator[str]:
    if pattern.startswith("$"):
        return
    levels = pattern.split("/")
    if levels[-1] == "#":
        # MQTT 3.1.1, 4.7.1-2: `a/#` matches `a`, too.
        yield ".".join(_level(level) for level in levels[:-1])
        levels[-1] = ">"
    yield ".".join(_level(level) for level in levels)


def _level(level: str) -> str:
    return "*" if level == "+" else level


def _quoted(text: str) -> str:
    return _encoded(text)


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()
