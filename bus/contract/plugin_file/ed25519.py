"""Ed25519: verification of a signature (RFC 8032, section 5.1.7), in Python alone. Pure.

No secret comes here, so it needs no constant time. A node is spared a library of 7 MB for one
signature now and then; the hub signs with `cryptography`.
"""

import hashlib

KEY_BYTES = 32
SIGNATURE_BYTES = 64

# RFC 8032, section 5.1: the field, the order of the base point, the curve.
_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_SIGN_BIT = 1 << 255

# Extended coordinates (X, Y, Z, T) of x = X/Z, y = Y/Z, x * y = T/Z (section 5.1.4).
Point = tuple[int, int, int, int]
_NEUTRAL: Point = (0, 1, 1, 0)


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` is of `message`, made with the private part of `key`."""
    point = _decompress(key)
    s = int.from_bytes(signature[KEY_BYTES:], "little")
    if point is None or len(signature) != SIGNATURE_BYTES or s >= _ORDER:
        return False
    r = signature[:KEY_BYTES]
    digest = hashlib.sha512(r + key + message).digest()
    k = int.from_bytes(digest, "little") % _ORDER
    x, y, z, t = point
    # R = [S]B - [k]A; a spelling of R that is not the canonical one is refused by this, too.
    return _compress(_double_product(s, _BASE, k, (_P - x, y, z, _P - t))) == r


def _double_product(a: int, p: Point, b: int, q: Point) -> Point:
    """Return [a]p + [b]q, with one doubling for each bit of both."""
    summands = {1: q, 2: p, 3: _add(p, q)}
    result = _NEUTRAL
    for bit in reversed(range(max(a.bit_length(), b.bit_length()))):
        result = _add(result, result)
        chosen = (a >> bit & 1) << 1 | b >> bit & 1
        if chosen:
            result = _add(result, summands[chosen])
    return result


def _add(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _compress(point: Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(KEY_BYTES, "little")


def _decompress(text: bytes) -> Point | None:
    """Return the point that 32 bytes spell (section 5.1.3), None where they spell none."""
    number = int.from_bytes(text, "little")
    y, sign = number & ~_SIGN_BIT, number >> 255
    if len(text) != KEY_BYTES or y >= _P:
        return None
    x = _root((y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P)
    if x is None or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _root(square: int) -> int | None:
    root = pow(square, (_P + 3) // 8, _P)
    if (root * root - square) % _P:
        root = root * _ROOT_OF_MINUS_1 % _P
    return None if (root * root - square) % _P else root


def _base_point() -> Point:
    point = _decompress((4 * pow(5, -1, _P) % _P).to_bytes(KEY_BYTES, "little"))
    if point is None:
        raise ValueError("found no base point")
    return point


_BASE = _base_point()
