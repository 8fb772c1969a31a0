from hub_app.quota.rate import RateQuota


def test_each_node_has_its_messages_of_a_minute() -> None:
    quota = RateQuota(2)
    assert [quota.admits("pi4", 0) for _ in range(3)] == [True, True, False]
    assert quota.admits("pi5", 59_999)
    assert quota.admits("pi4", 60_000)
