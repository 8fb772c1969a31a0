"""Descriptions on the bus, names and settings: what the owner and the author say."""
