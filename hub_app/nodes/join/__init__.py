"""Join of a new machine by one line: codes, the script, wheels, and their HTTPS listener."""
