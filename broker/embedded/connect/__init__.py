"""Connections from accept to end, and the CONNECT: reading, checks and authentication."""
