"""Chip models of plugins: what an author's `simulated.py` holds, and running it."""
