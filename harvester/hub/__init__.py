"""Commands for the hub: accounts, certificates, broker."""
