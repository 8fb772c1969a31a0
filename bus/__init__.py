"""What every node shares: the contract of the bus, configuration, the MQTT client, the outbox."""
