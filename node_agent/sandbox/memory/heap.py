"""Return of freed memory to the kernel: glibc keeps it otherwise."""

import ctypes


def give_back() -> None:
    """Return freed memory to the kernel, where the C library can (malloc_trim(3), glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
