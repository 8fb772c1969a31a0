"""The history of readings: recording, downsampling, expiry, coverage, queries."""
