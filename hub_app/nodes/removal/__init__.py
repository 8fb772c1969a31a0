"""Removal and renaming of nodes and sensors: the list of what is gone, and who carries it out."""
