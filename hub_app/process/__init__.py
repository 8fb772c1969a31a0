"""The hub as a process: its start and end in order, and the supervisor of its tasks."""
