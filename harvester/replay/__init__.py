"""`harvester plugins replay`: a plugin's recorded polls again, without its hardware."""
