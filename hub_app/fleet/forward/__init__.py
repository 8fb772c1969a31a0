"""Forwarding of a hub's history to the database of the fleet."""
