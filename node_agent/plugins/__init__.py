"""The life of a plugin: loading, polling, restarts, grants, readings."""
