"""The own devices of a Revolution Pi, through its process image."""
