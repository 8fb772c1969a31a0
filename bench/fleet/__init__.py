"""A fleet of virtual nodes on one hub, beside Mosquitto with a plain script, in the same run."""
