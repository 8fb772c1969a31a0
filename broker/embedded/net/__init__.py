"""Sockets of the embedded broker: listeners, admission, connections."""
