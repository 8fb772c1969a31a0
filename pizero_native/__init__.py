"""The light service for a Pi Zero: the same readings without a plugin host."""
