"""Nodes as the hub manages them: joining and removal."""
