"""Installation of a machine: steps that install, show and remove."""
