"""The DHT22 climate plugin."""
