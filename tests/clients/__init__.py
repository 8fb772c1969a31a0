"""Other people's MQTT clients, in their default settings, against the hub's broker."""
