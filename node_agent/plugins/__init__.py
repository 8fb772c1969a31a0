"""Plugins: loading, polling, restarts, grants, readings."""
