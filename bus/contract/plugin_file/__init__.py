"""Files of plugins: components and bundles, and the author's description in them."""
