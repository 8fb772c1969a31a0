"""Simulated BME680: physics, calibration registers and chip."""
