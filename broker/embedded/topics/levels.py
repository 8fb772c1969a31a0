"""Level tree: a node for each level of a topic or filter. `a/b` has two levels, `/b` as well."""

from typing import Generic, TypeVar

V = TypeVar("V")


class Node(Generic[V]):
    """One level. `value` is None where no topic or filter ends."""

    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, Node[V]] = {}
        self.value: V | None = None


def find(root: Node[V], text: str) -> Node[V] | None:
    """Return the node at which `text` ends, or None."""
    node = root
    for level in text.split("/"):
        found = node.children.get(level)
        if found is None:
            return None
        node = found
    return node


def insert(root: Node[V], text: str) -> Node[V]:
    """Return the node at which `text` ends; make it where it is missing."""
    node = root
    for level in text.split("/"):
        found = node.children.get(level)
        if found is None:
            found = node.children[level] = Node()
        node = found
    return node


def remove(root: Node[V], text: str) -> None:
    """Remove the value at `text`, and the nodes that led to nothing else."""
    levels = text.split("/")
    path = [root]
    for level in levels:
        found = path[-1].children.get(level)
        if found is None:
            return
        path.append(found)
    path[-1].value = None
    for parent, level, node in reversed(list(zip(path[:-1], levels, path[1:], strict=True))):
        if node.children or node.value is not None:
            return
        del parent.children[level]
