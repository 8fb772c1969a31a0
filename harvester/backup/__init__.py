"""Backups of the hub: one archive of its databases, accounts, certificates and configuration."""
