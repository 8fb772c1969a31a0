"""Compatibility of two versions of HARVESTER on one bus, of a node and of its hub.

One minor version apart in either direction is tested: who does not know a field ignores it, and
who lacks one takes its default.
"""

import re

_VERSION = re.compile(r"(\d+)\.(\d+)")


def mismatch(node: str, version: str, hub_version: str) -> str:
    """Return what is wrong with the version of a node, empty where both understand each other.

    A version that cannot be read is not judged.
    """
    found, expected = _VERSION.match(version), _VERSION.match(hub_version)
    if not found or not expected:
        return ""
    (major, minor), (hub_major, hub_minor) = (
        tuple(map(int, each.groups())) for each in (found, expected)
    )
    if major != hub_major:
        reason = "which do not understand each other"
    elif abs(minor - hub_minor) > 1:
        reason = "more than one minor version apart"
    else:
        return ""
    older = node if (major, minor) < (hub_major, hub_minor) else "the hub"
    return f"{node} has version {version} and the hub {hub_version}, {reason}: update {older}"
