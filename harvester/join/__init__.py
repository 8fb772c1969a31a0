"""`harvester join`: the part of the hub's line that runs on the new machine."""
