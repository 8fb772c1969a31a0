"""WASI of a guest: its output, and the sources of time and randomness."""
