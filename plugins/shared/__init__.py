"""What several plugins are built with. All but `own_health` stand on the standard library alone."""
