"""Topic names, the subscription tree and retained messages."""
