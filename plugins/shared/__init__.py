"""Pure modules that several plugins are built with; each stands on the standard library alone."""
