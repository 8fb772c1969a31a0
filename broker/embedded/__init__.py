"""Embedded MQTT 3.1.1 broker: the engine, and amqtt's life cycle around it."""
