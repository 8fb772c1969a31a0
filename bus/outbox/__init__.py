"""The outbox: readings wait here until the hub has stored them."""
