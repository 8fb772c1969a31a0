"""The routes below `/api`, the table of them, and the OpenAPI document that is written from it."""
