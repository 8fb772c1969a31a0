"""Text of a number whose description has no decimals. Pure."""

import math

_SMALL = 1e-3
_LEAST = 1e-15


def plain(value: float) -> str:
    """Return three decimals, and more for a small number that they would make 0.

    >>> plain(21.5), plain(0.0004)
    ('21.5', '0.0004')
    """
    size = abs(value)
    decimals = 2 - math.floor(math.log10(size)) if _LEAST <= size < _SMALL else 3
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
