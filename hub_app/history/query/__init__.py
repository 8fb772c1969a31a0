"""Queries of the history: series of values, their resolution, and gaps with their reasons."""
