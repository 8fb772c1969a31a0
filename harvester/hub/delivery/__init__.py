"""Commands that deliver plugins to nodes: deploy, rollback, key."""
