"""Coverage of the history: which expected samples are stored, and why the others are not."""
