"""The MQTT client of a node: connection, credentials, back-off, log shipping."""
