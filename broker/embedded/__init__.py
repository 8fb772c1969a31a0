"""Embedded broker of MQTT 5 and 3.1.1: the engine, and amqtt's life cycle around it."""
