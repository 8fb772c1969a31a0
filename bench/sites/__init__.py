"""Many hubs that forward to one database, with faults, and a count of what arrived."""
