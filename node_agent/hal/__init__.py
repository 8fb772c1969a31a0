"""Hardware layer: the devices of a node, on a Raspberry Pi or simulated."""
