"""WASI of a guest: its output, its sources of time and randomness, and its waits."""
