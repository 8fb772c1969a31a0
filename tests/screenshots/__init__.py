"""Screenshots of the page for docs/: a simulated system with a month behind it, in a browser."""
