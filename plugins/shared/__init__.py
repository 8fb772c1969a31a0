"""Modules of several plugins. `own_health` calls the host; the others are pure."""
