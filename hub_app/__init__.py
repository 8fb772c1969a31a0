"""The hub: broker, live state, history, and the page."""
