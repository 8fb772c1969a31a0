"""Configuration of external brokers in place of the embedded one."""
