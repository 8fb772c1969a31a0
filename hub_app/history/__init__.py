"""The history: recording readings, downsampling, coverage, queries."""
