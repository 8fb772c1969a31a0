"""Updates of nodes: rounds of one node after the other, and the wheels that they fetch."""
