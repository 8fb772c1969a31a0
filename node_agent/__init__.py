"""The node agent: reads sensors through sandboxed plugins and drives actuators from the bus."""
