"""Views: the pages of the hub, each with an address of its own."""
