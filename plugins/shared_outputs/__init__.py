"""Modules of several plugins that call the LEDs and the buzzer.

Apart from `plugins/shared`: a component imports what the modules on its path import.
"""
