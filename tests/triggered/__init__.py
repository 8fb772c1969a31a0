"""Programs on simulated hardware whose scenario waits for a signal of the test."""
