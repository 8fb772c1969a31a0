"""The bus: its errors, topics, messages and settings, the MQTT client and the embedded broker."""
