"""The hub on the bus: the broker that it embeds, or its connection to an outside one."""
