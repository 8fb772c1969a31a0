"""The page over the database of a fleet, for the role `fleet`."""
