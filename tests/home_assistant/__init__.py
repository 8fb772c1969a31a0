"""Home Assistant itself, headless, against a hub and simulated nodes: `make test-homeassistant`."""
