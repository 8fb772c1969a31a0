"""Dependencies of a plugin: pure Python packages, locked, and packed with it."""
