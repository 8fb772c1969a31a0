"""Contract of the bus: topics, messages and commands."""
