"""The fleet: the histories of many hubs in one PostgreSQL, and the page over it."""
