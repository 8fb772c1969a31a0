"""Signatures are verified as RFC 8032 says, and as the hub's library makes them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bus.contract.plugin_file import ed25519

# RFC 8032, section 7.1: public key, message, signature of tests 1, 2 and 3.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_the_standard_are_verified(key: str, message: str, signature: str) -> None:
    assert ed25519.verify(*map(bytes.fromhex, (key, message, signature)))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_a_signature_is_good_and_one_with_a_changed_bit_is_not(
    seed: bytes, message: bytes, bit: int
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert ed25519.verify(key, message, signature)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not ed25519.verify(key, message, bytes(changed))
    assert not ed25519.verify(key, message + b"!", signature)


def test_a_second_spelling_of_a_signature_is_refused() -> None:
    key, message, signature = map(bytes.fromhex, VECTORS[1])
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert not ed25519.verify(key, message, signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize("key", [b"", b"\xff" * 32, b"\x02" + b"\0" * 31, b"\x01" * 33])
def test_a_key_that_is_no_point_verifies_nothing(key: bytes) -> None:
    _, message, signature = map(bytes.fromhex, VECTORS[0])
    assert not ed25519.verify(key, message, signature)


@pytest.mark.parametrize("length", [0, 31, 32, 63, 65, 96])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    key, message, signature = map(bytes.fromhex, VECTORS[0])
    assert not ed25519.verify(key, message, (signature * 2)[:length])
