"""Plugins for sensors that the shipped configuration does not have: copy one, and adapt it."""
