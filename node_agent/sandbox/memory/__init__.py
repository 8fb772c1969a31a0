"""Memory of the sandbox: guests' linear memories, and the host's heap."""
