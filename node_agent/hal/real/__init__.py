"""The devices of a Raspberry Pi."""
