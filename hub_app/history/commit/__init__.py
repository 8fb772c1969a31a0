"""Commits to the history file: what waits for one, and recovery from its faults."""
