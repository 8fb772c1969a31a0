"""Serving of HTTP: connection limits, time limits, and addresses behind a reverse proxy."""
