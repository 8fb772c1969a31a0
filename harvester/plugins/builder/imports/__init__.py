"""Import statements of a plugin's source: what is imported, and when."""
