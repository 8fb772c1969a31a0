"""Ed25519: verification of a signature (RFC 8032, section 5.1.7)."""


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` is of `message`, made with the private part of `key`."""
    # Loaded with the first signature: it takes 7 MB of a node.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
