"""Configuration: the tables of the TOML files, reading them, and errors in them."""
