"""Incoming packets of one connection, and their answers."""
