"""The hub: the state of every topic, streamed to a live page."""
