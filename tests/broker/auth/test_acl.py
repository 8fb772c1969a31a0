"""Access control list: against the oracle, and through a running broker."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from broker.auth import accounts, acl
from broker.auth.account_gate import AccountGate
from broker.auth.acl import ROLES, covers
from broker.auth.gate import Attempt, Identity, Role
from broker.auth.password_check import PasswordCheck
from bus.contract import topics
from bus.contract.topics import CHANNELS, TopicKind, topic_filter
from tests.broker.auth import oracle
from tests.broker.auth.cases import NODE, OTHER, PEOPLE, SCOPE, Case, batches
from tests.broker.auth.hub import connected
from tests.broker.embedded.raw import RawClient, publish
from tests.broker.embedded.running import Running, running

EXAMPLES = 1_600
_CHUNK = 200
_SPY = Identity("spy", Role.HUB)
T = TypeVar("T")


class SpiedGate(AccountGate):
    """The gate, beside which one client may hear everything: what got through."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=False)

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        if attempt.username == _SPY.name:
            return _SPY
        # The roles without their passwords: those have tests of their own.
        return next((who for who in PEOPLE.values() if who.name == attempt.username), None)

    def may_publish(self, identity: Identity, topic: str) -> bool:
        return identity == _SPY or acl.may_publish(identity, topic, SCOPE)

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        return identity == _SPY or acl.may_subscribe(identity, topic_filter, SCOPE)

    def may_receive(self, identity: Identity, topic: str) -> bool:
        return identity == _SPY or acl.may_receive(identity, topic, SCOPE)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """At least 10,000 cases, all different."""
    found: set[Case] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(batches)
    def collect(made: list[Case]) -> None:
        found.update(made)

    collect()
    assert len(found) >= 10_000
    return sorted(found, key=msgspec.structs.astuple)


@pytest.fixture(scope="module")
def publications(cases: list[Case]) -> list[tuple[Role, str]]:
    return [(case.role, case.text) for case in cases if case.publishes]


@pytest.fixture(scope="module")
def subscriptions(cases: list[Case]) -> list[tuple[Role, str]]:
    return [(case.role, case.text) for case in cases if not case.publishes]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    gate = SpiedGate(tmp_path_factory.mktemp("accounts") / "accounts.json")
    with running(gate, subscriptions_per_client=100_000, queued_messages=10_000) as it:
        yield it


def as_role(port: int, role: Role) -> RawClient:
    name = PEOPLE[role].name
    return connected(port, name, b"-")


def spy(port: int) -> RawClient:
    return connected(port, "spy", b"-")


def chunks(items: Sequence[T], count: int = _CHUNK) -> Iterator[Sequence[T]]:
    return (items[start : start + count] for start in range(0, len(items), count))


def test_the_table_and_the_oracle_agree_on_every_publication(
    publications: list[tuple[Role, str]],
) -> None:
    wrong = [
        (role, topic)
        for role, topic in publications
        if acl.may_publish(PEOPLE[role], topic, SCOPE) != oracle.publishes(PEOPLE[role], topic)
        or acl.may_receive(PEOPLE[role], topic, SCOPE) != oracle.reads(PEOPLE[role], topic)
    ]
    assert wrong == []
    allowed = [case for case in publications if oracle.publishes(PEOPLE[case[0]], case[1])]
    assert len(allowed) > 200


def test_the_table_and_the_oracle_agree_on_every_filter(
    subscriptions: list[tuple[Role, str]],
) -> None:
    wrong = [
        (role, text)
        for role, text in set(subscriptions)
        if acl.may_subscribe(PEOPLE[role], text, SCOPE) != oracle.subscribes(PEOPLE[role], text)
    ]
    assert wrong == []
    allowed = {case for case in subscriptions if oracle.subscribes(PEOPLE[case[0]], case[1])}
    assert {role for role, _ in allowed} == set(Role)


def test_nothing_gets_through_the_broker_that_the_oracle_forbids(
    broker: Running, publications: list[tuple[Role, str]]
) -> None:
    """Topics that no client may publish to end the connection and have a test of their own."""
    sent = [(role, topic) for role, topic in publications if not topic.startswith("$")]
    with spy(broker.port) as ears:
        assert ears.subscribe(("#", 0)) == [0]
        for role in Role:
            mine = [(n, topic) for n, (who, topic) in enumerate(sent) if who is role]
            with as_role(broker.port, role) as mouth:
                for chunk in chunks(mine):
                    mouth.send(b"".join(publish(topic, b"%d" % n) for n, topic in chunk))
                    mouth.ping()
                    ears.ping()
        heard = {int(message.payload) for message in ears.messages}
    wanted = {n for n, (role, topic) in enumerate(sent) if oracle.publishes(PEOPLE[role], topic)}
    assert {sent[n] for n in heard ^ wanted} == set()
    assert len(wanted) > 200


def test_the_broker_grants_the_filters_that_the_oracle_allows(
    broker: Running, subscriptions: list[tuple[Role, str]]
) -> None:
    valid = [case for case in subscriptions if oracle.is_filter(case[1])]
    for role in Role:
        with as_role(broker.port, role) as client:
            for chunk in chunks([text for who, text in valid if who is role]):
                codes = client.subscribe(*((text, 0) for text in chunk))
                granted = {text for text, code in zip(chunk, codes, strict=True) if code != 0x80}
                allowed = {text for text in chunk if _subscribes(PEOPLE[role], text)}
                assert granted == allowed


def _subscribes(who: Identity, text: str) -> bool:
    """Whether the oracle allows a filter; the group of a shared one gives and takes no right."""
    head, *rest = text.split("/")
    if head != "$share":
        return oracle.subscribes(who, text)
    has_group = len(rest) > 1 and rest[0] not in ("", "+", "#")
    return has_group and oracle.subscribes(who, "/".join(rest[1:]))


@pytest.mark.parametrize("retain", [False, True], ids=["live", "retained"])
def test_nobody_receives_what_the_oracle_forbids(
    broker: Running, publications: list[tuple[Role, str]], retain: bool
) -> None:
    """Each role subscribes to everything, before or after everything is said."""
    said = sorted({topic for _, topic in publications if not topic.startswith("$")})[:600]
    wide = ["#", "+/#", "harvester/#", "harvester/+/status", "harvester/+/readings/+"]
    own = [topic_filter(TopicKind.COMMAND, NODE), topic_filter(TopicKind.STORED, NODE)]
    with spy(broker.port) as mouth:
        listeners = {} if retain else {role: _ears(broker.port, role, wide + own) for role in Role}
        for chunk in chunks(said):
            mouth.send(b"".join(publish(topic, b"x", retain=retain) for topic in chunk))
            mouth.ping()
            for ears in listeners.values():
                ears.ping()
        if retain:
            listeners = {role: _ears(broker.port, role, wide + own) for role in Role}
        for role, ears in listeners.items():
            ears.ping()
            heard = {message.topic for message in ears.messages}
            allowed = {topic for topic in said if oracle.reads(PEOPLE[role], topic)}
            assert heard == allowed & heard
            assert heard >= {topic for topic in allowed if topic.startswith("harvester/")}
            ears.disconnect()
        mouth.send(b"".join(publish(topic, b"", retain=True) for topic in said))
        mouth.ping()


def _ears(port: int, role: Role, wanted: list[str]) -> RawClient:
    client = as_role(port, role)
    client.subscribe(*((text, 0) for text in wanted))
    return client


@pytest.mark.parametrize("role", Role)
def test_a_will_is_a_publication_like_any_other_and_stops_no_connect(
    broker: Running, role: Role
) -> None:
    who = PEOPLE[role]
    wills = ["status", "cmd", "stored", "buzzer/cmd", "readings/x"]
    topics = [f"harvester/{node}/{rest}" for node in (NODE, OTHER) for rest in wills]
    topics += ["homeassistant/status", "$SYS/broker/connection/bridge/state"]
    with spy(broker.port) as ears:
        ears.subscribe(("harvester/+/+", 0), ("harvester/+/+/+", 0), ("homeassistant/#", 0))
        ears.ping()
        # What the tests before this one have left.
        ears.messages.clear()
        for topic in topics:
            with RawClient(broker.port) as client:
                code = client.connect(
                    who.name, username=who.name, password=b"-", will=(topic, b"will", 1, True)
                )
                assert code == 0, topic
                client.reset()
            if oracle.publishes(who, topic):
                heard = ears.receive()
                assert (heard.topic, heard.payload) == (topic, b"will")
        ears.ping()
        assert ears.messages == []


@pytest.mark.parametrize("topic", ["$SYS/broker/uptime", "$share/g/x", "$x"])
def test_a_topic_of_the_broker_is_nobodys_to_publish(broker: Running, topic: str) -> None:
    with spy(broker.port) as ears, as_role(broker.port, Role.HUB) as client:
        ears.subscribe(("$x", 0), ("$share/#", 0))
        client.send(publish(topic, b"forged"))
        # A bridge of Mosquitto tries it at each connection: dropped, and nobody is cut off.
        client.ping()
        ears.ping()
        assert [m for m in ears.messages if m.payload == b"forged"] == []


def test_a_role_has_a_line_and_each_pattern_begins_with_what_is_ours() -> None:
    assert set(ROLES) == set(Role)
    for rights in ROLES.values():
        for pattern in msgspec.structs.astuple(rights):
            for text in pattern:
                assert text.split("/")[0] in ("harvester", "$SYS", "<prefix>")


@pytest.mark.parametrize("kind", TopicKind)
def test_the_table_fits_who_publishes_each_kind_of_topic(kind: TopicKind) -> None:
    topic = topic_filter(kind, NODE, "buzzer")
    publisher = CHANNELS[kind].publisher
    assert acl.may_publish(PEOPLE[Role.NODE], topic) == publisher.startswith("node")
    assert acl.may_publish(PEOPLE[Role.OPERATOR], topic) == (kind is TopicKind.COMMAND)
    assert acl.may_publish(PEOPLE[Role.HUB], topic)
    assert not acl.may_publish(PEOPLE[Role.VIEWER], topic)
    assert acl.may_receive(PEOPLE[Role.VIEWER], topic)


def test_a_node_may_subscribe_to_what_its_agent_asks_for() -> None:
    for text in (
        topics.topic_filter(TopicKind.COMMAND, NODE),
        topics.topic_filter(TopicKind.READING),
        topics.topic_filter(TopicKind.SENSOR),
        topics.topic_filter(TopicKind.STATUS),
        topics.topic_filter(TopicKind.STORED, NODE),
    ):
        assert acl.may_subscribe(PEOPLE[Role.NODE], text)


@pytest.mark.parametrize(
    ("pattern", "wanted", "result"),
    [
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a/#", True),
        ("a/#", "#", False),
        ("a/#", "+/b", False),
        ("a/+", "a/#", False),
        ("a/+", "a/+", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/b", "a/+", False),
        ("a/+/c", "a/b/#", False),
        ("a/+/#", "a/#", False),
        ("a/+/#", "a/b", True),
    ],
)
def test_a_pattern_covers_only_what_it_matches_whole(
    pattern: str, wanted: str, result: bool
) -> None:
    assert covers(pattern, wanted) is result


def test_the_accounts_need_not_be_there(tmp_path: Path) -> None:
    assert accounts.load(tmp_path / "none.json") == accounts.Accounts()
