"""Installation: product files, extras, version and commit."""
