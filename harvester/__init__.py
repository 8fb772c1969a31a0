"""The command line `harvester`: builds plugins, sets up nodes, and runs the whole system."""
