"""Delivery of bundles over the bus: verified, kept, tried, and taken back where they fail."""
