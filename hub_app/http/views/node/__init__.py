"""View of a node: `GET /node/{node}`, and the parts of its page."""
