"""Descriptions of the node and of its sensors on the bus, and the names that people gave them."""
