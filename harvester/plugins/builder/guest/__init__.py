"""Modules that the builder puts into every component beside the plugin's own."""
