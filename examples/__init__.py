"""Example plugins for further sensors: copy one and adapt it."""
