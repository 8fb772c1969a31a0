"""GPS plugin and its NMEA parser."""
