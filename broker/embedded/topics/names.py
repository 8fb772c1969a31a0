"""Validity of topic names and topic filters (MQTT 3.1.1 sections 1.5.3 and 4.7)."""

import re

# MQTT-4.7.3-3.
MAX_BYTES = 65_535
# The specification sets no limit, but each level costs a node of a tree: 65,535 slashes would be
# some 13 MB. Mosquitto has the same limit (TOPIC_HIERARCHY_LIMIT, 200 slashes).
MAX_LEVELS = 201
# Of the last two code points of each plane.
_LAST_OF_PLANES = "".join(
    chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
)
_NO_TEXT = re.compile(f"[\0-\x1f\x7f-\x9f\ufdd0-\ufdef{_LAST_OF_PLANES}]")


def valid_topic(text: str) -> bool:
    """Whether `text` is a topic name: no wildcard."""
    return "+" not in text and "#" not in text and well_formed(text)


def valid_filter(text: str) -> bool:
    """Whether `text` is a topic filter: each wildcard is a whole level, and `#` is the last."""
    if not well_formed(text):
        return False
    levels = text.split("/")
    return all(
        level == "+"
        or (level == "#" and place == len(levels))
        or not ("+" in level or "#" in level)
        for place, level in enumerate(levels, 1)
    )


def is_text(text: str) -> bool:
    """Whether `text` has no control characters and no non-characters of Unicode.

    Section 1.5.3 allows to refuse them; Mosquitto does so, too.
    """
    return _NO_TEXT.search(text) is None


def well_formed(text: str) -> bool:
    """Whether `text` is a topic or filter as far as its length and characters go."""
    # MQTT-4.7.3-1: not empty; 4.7.3-2 and 1.5.3-2: no NUL.
    if not text or not is_text(text) or text.count("/") >= MAX_LEVELS:
        return False
    try:
        return len(text.encode()) <= MAX_BYTES
    except UnicodeEncodeError:
        # MQTT-1.5.3-1: no half of a surrogate pair.
        return False
