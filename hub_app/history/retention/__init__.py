"""Retention of the history: downsampling to means, expiry, and when they are due."""
