"""Plugins; their drivers import under CPython, too."""
