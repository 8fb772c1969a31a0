"""Simulated devices at register level."""
