"""The hardware layer: what a node can touch, on a Raspberry Pi or simulated."""
