"""Reasons of nodes: refusals are told whole, tracebacks by their error."""

import pytest

from hub_app.nodes.delivery.reason import sentences

_FRAMES = '  File "app.py", line 3, in poll\n    raise ValueError(text)\n    ^^^^^^^^^^^^\n'


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "not granted: add i2c\nsince it imports i2c",
            "not granted: add i2c\nsince it imports i2c",
        ),
        (f"Traceback (most recent call last):\n{_FRAMES}ValueError: bad", "ValueError: bad"),
        (
            f"ine 2\n{_FRAMES}ValueError: first\n  second\n\nthird",
            "ValueError: first\n  second\n\nthird",
        ),
        ('  File "app.py", line 3\n    x = (\n        ^\nSyntaxError: cut', "SyntaxError: cut"),
        ('  File "app.py", line 3\n    x', "    x"),
        (" ", "it was not kept"),
    ],
)
def test_the_whole_sentence_is_told(reason: str, told: str) -> None:
    assert sentences(reason) == told
