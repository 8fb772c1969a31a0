"""A simulated BME680: its physics, its calibration registers and the chip."""
