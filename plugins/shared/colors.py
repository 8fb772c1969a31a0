"""LED colours of the plugins by name: red, green and blue, 0 to 255 each."""

COLORS = {
    "dark": (0, 0, 0),
    "green": (0, 255, 0),
    "lime": (128, 255, 0),
    "yellow": (255, 200, 0),
    "orange": (255, 100, 0),
    "red": (255, 0, 0),
    "blue": (0, 0, 255),
    "purple": (128, 0, 255),
    "dim purple": (32, 0, 64),
    "magenta": (255, 0, 255),
}

# In every plugin: the sensor does not answer, or its answer is no measurement.
FAULT = "magenta"
