"""CONNECT: reading, checks and authentication."""
