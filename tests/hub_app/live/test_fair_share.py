from bus.contract.topics import TopicKind
from hub_app.live.change import Change
from hub_app.live.fair_share import fair_share


def change(node: str, name: str, size: int) -> Change:
    return Change(f"{node}/{name}", TopicKind.READING, node, name, size)


def names(changes: list[Change], most_bytes: int) -> list[str]:
    return [found.topic for found in fair_share(changes, most_bytes, lambda one: int(one.value))]


def test_what_fits_is_kept_whole_and_in_order() -> None:
    changes = [change("a", "1", 10), change("b", "1", 10), change("a", "2", 10)]
    assert names(changes, 30) == ["a/1", "b/1", "a/2"]


def test_a_node_with_much_takes_no_place_of_one_with_little() -> None:
    changes = [*(change("loud", str(n), 10) for n in range(100)), change("quiet", "1", 10)]
    found = names(changes, 50)
    assert "quiet/1" in found
    assert len(found) == 5
