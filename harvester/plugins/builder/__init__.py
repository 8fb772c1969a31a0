"""Building a plugin's source to a WebAssembly component."""
