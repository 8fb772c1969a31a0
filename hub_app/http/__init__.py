"""The HTTP routes, their guards, and the SSE stream."""
