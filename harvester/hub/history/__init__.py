"""The command `harvester history`."""
