"""Giving memory back: glibc keeps what a guest's values took on their way to Python."""

import ctypes


def give_back() -> None:
    """Return freed memory to the kernel, where the C library can (malloc_trim(3), glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
