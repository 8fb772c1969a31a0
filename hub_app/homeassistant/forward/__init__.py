"""Forwarder to a broker that Home Assistant has of its own, and commands from there."""
