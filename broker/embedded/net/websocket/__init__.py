"""WebSocket (RFC 6455) as a transport of MQTT: handshake, frames, and a connection's end of it."""
