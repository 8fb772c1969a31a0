"""Checks of a plugin's source before it runs: its text, its imports, classes and settings."""
