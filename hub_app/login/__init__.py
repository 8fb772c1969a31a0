"""Log-in for the page: people, sessions, attempts."""
