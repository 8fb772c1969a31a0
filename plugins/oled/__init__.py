"""OLED plugin and its SSD1306 driver."""
