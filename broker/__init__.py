"""The MQTT broker that the hub embeds, and its accounts."""
