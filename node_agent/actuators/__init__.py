"""Actuators: buzzer, fan and LED strip, and the commands that they take."""
