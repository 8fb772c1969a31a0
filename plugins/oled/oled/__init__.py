"""Screen of the display: what is chosen, how it is written, and where it is drawn. Pure."""
