"""Cost model of hubs and fleets, its measurement, and its predictions."""
