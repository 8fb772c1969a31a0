"""Home Assistant: discovery of every sensor, alarm, plugin and output."""
