"""The plugins; their drivers import under CPython too."""
