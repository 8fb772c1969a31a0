"""Code that every node shares: the bus contract, configuration, the MQTT client, the outbox."""
