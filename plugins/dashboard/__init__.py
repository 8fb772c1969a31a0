"""The plugin that renders the page."""
