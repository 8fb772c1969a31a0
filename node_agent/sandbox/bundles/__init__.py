"""Bundles in the sandbox: plugins as source, run by one component for all of them."""
