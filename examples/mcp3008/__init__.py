"""The MCP3008 analogue converter as a plugin, and its driver."""
