"""Compatibility of versions: told in a sentence where a node and its hub are too far apart."""

import pytest

from bus.install.compatibility import mismatch


@pytest.mark.parametrize("version", ["0.1.0", "0.2.9", "0.3.0", "0.2.0+g1234", "unknown", ""])
def test_one_minor_version_apart_is_understood(version: str) -> None:
    assert mismatch("pi4", version, "0.2.0") == ""


@pytest.mark.parametrize(
    ("version", "hub", "sentence"),
    [
        ("1.4.0", "2.0.0", "do not understand each other: update pi4"),
        ("2.0.0", "1.4.0", "do not understand each other: update the hub"),
        ("0.1.0", "0.3.0", "more than one minor version apart: update pi4"),
        ("0.10.0", "0.8.5", "more than one minor version apart: update the hub"),
    ],
)
def test_the_older_one_is_to_be_updated(version: str, hub: str, sentence: str) -> None:
    assert mismatch("pi4", version, hub).endswith(sentence)
