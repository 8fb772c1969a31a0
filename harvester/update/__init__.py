"""Update of a machine: a new environment beside the old one, judged, kept or rolled back."""
