"""The HTTP routes and their access control."""
