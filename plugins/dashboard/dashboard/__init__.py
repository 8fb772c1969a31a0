"""The page as pure functions from the hub's state to HTML; standard library only."""
