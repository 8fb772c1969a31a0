"""Host calls of a plugin: their trace, and `harvester plugins replay` of recorded ones."""
