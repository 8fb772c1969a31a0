"""Lines of the 40-pin header, through the kernel's GPIO device or through RPi.GPIO."""
