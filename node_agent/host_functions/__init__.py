"""Host functions of one plugin instance: digital pins, events, readings of other sensors."""
