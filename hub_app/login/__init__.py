"""Log-in for the page: people and sessions."""
