"""harvester doctor: checks a node and names a remedy for each fault."""
