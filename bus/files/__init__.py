"""Files: SQLite databases, files of secrets, replacement of a whole file, limit of open files."""
