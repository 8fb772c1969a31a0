"""Simulated devices that answer as the chips do."""
