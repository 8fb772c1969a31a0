"""OLED plugin with its SSD1306 and SH1106 drivers."""
