"""Topics, messages and commands: the words on the bus."""
