"""Values on their way between guest and host: their types and sizes."""
