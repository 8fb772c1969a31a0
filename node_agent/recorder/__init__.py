"""Flight recorder of a plugin: its newest host calls, kept when it fails, and their replay."""
