"""BME680 air quality plugin and its driver."""
