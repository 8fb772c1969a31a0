"""`harvester bus`: reads, publishes and cleans topics, for those without another MQTT client."""
