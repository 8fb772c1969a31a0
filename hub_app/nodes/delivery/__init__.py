"""Delivery of plugins to nodes: rollouts with a canary, signed bundles, versions at each node."""
