"""URL of a broker: what is accepted, and that no password is quoted."""

import pytest

from bus.config import broker_url
from bus.config.broker_url import BrokerUrl
from bus.errors import MisconfiguredError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://hub", BrokerUrl("hub", 1883, tls=False)),
        ("mqtts://hub.example:8884/", BrokerUrl("hub.example", 8884, tls=True)),
        ("MQTT://192.168.7.10", BrokerUrl("192.168.7.10", 1883, tls=False)),
        ("mqtt://[fe80::1]:1884", BrokerUrl("fe80::1", 1884, tls=False)),
    ],
)
def test_a_url_has_scheme_host_and_port(text: str, expected: BrokerUrl) -> None:
    assert broker_url.parse(text, "broker.url") == expected


def test_commas_separate_the_addresses_of_a_cluster() -> None:
    found = broker_url.parse("mqtts://a, mqtts://b:8884,mqtts://[::1]", "broker.url")
    assert found.addresses == (("a", 8883), ("b", 8884), ("::1", 8883))
    assert found.tls


def test_addresses_with_and_without_tls_are_refused_together() -> None:
    with pytest.raises(MisconfiguredError, match="expected the same for all addresses"):
        broker_url.parse("mqtts://a,mqtt://b", "broker.url")


@pytest.mark.parametrize("text", ["mqtt://a,", "mqtt://a,b", "mqtt://a;mqtt://b", ",mqtt://a"])
def test_each_address_of_a_cluster_is_a_url(text: str) -> None:
    with pytest.raises(MisconfiguredError, match="a comma separates several"):
        broker_url.parse(text, "broker.url")


@pytest.mark.parametrize(
    "text",
    [
        "mqtt://me:hunter2@hub",
        "mqtt://hub,mqtt://me:hunter2@hub",
        "mqtt://hub,mqtt://me:hunter2",
        "mqtts://hunter2@hub:8883",
        "mqtt://me:hunter2%40hub",
        "mqtt://me%3Ahunter2%40hub:1883",
        "MQTTS://me%3ahunter2%40hub",
        "mqtt://me:hunter2",
        "mqtt://hub:1883:hunter2",
        "mqtt://hub?password=hunter2",
        "mqtt://hub/#hunter2",
        "mqtt://hub/hunter2",
        "mqtt:\\\\me:hunter2",
    ],
)
def test_a_url_with_more_than_an_address_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(MisconfiguredError, match=r"^broker\.url: found ") as refused:
        broker_url.parse(text, "broker.url")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["http://hub", "hub:1883", "mqtt://", "mqtt://hub:0", "mqtt://h:99999"]
)
def test_a_refusal_quotes_what_holds_no_password(text: str) -> None:
    with pytest.raises(MisconfiguredError, match=r"expected mqtt://HOST") as refused:
        broker_url.parse(text, "broker.url")
    assert repr(text) in str(refused.value)
