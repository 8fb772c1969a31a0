"""DHT22 climate plugin."""
