"""The SHT31 climate sensor as a plugin, and its driver."""
