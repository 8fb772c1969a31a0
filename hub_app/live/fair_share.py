"""Fair share of a bounded number of bytes between nodes. Pure."""

from collections.abc import Callable, Iterable

from hub_app.live.change import Change


def fair_share(
    changes: Iterable[Change], most_bytes: int, size_of: Callable[[Change], int]
) -> list[Change]:
    """Return as many changes as fit into `most_bytes`, in their order.

    A node that needs less than an equal share leaves the rest to the others (max-min fairness), so
    one that says much never takes the place of one that says little.
    """
    sized = [(change, size_of(change)) for change in changes]
    needs: dict[str, int] = {}
    for change, size in sized:
        needs[change.node] = needs.get(change.node, 0) + size
    shares = _shares(needs, most_bytes)
    chosen = []
    for change, size in sized:
        if size <= shares[change.node]:
            shares[change.node] -= size
            chosen.append(change)
    return chosen


def _shares(needs: dict[str, int], most_bytes: int) -> dict[str, int]:
    shares = {}
    left = most_bytes
    for i, (node, need) in enumerate(sorted(needs.items(), key=lambda item: item[1])):
        shares[node] = min(need, left // (len(needs) - i))
        left -= shares[node]
    return shares
