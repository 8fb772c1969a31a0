"""Parts of a plugin's supervisor: restarts, the candidate, the shadow run, the published state."""
