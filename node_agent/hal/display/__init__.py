"""Displays: decoders of what is sent to their controllers, and the tap that follows a display."""
