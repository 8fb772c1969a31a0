"""The broker that the hub embeds: amqtt's, hardened. What it holds and how it is reached."""
