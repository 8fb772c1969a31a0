"""Nodes of the hub: joining and removal."""
