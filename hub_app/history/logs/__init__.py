"""Log lines of all nodes, kept for days in a file of their own."""
