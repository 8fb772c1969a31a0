"""MCP3008 analogue converter plugin and its driver."""
