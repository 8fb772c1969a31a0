"""The command line for what spans nodes."""
