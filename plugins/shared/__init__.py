"""Modules of several plugins. `own_health` and `heat_watch` call the host; the others are pure."""
