"""Quotas of one node at the hub, and the count of what exceeds them."""
