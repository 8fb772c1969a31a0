"""SHT31 climate sensor plugin and its driver."""
