"""Simulated digital pins, and the signals at them."""
