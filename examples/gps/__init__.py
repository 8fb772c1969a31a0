"""A GPS receiver as a plugin, and its parser."""
