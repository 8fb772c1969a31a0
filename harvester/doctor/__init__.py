"""harvester doctor: examines a node and names what mends each fault."""
