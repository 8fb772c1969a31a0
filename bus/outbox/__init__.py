"""Outbox: keeps readings until the hub has stored them, and sends them."""
