"""The live state: newest values, presence, commands, and fan-out to browsers."""
