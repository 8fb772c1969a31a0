"""A plugin as its author wrote it for version 1.0.0 of the contract, without a `plugin.toml`."""

from wit_world.exports import Dht22Logic as Base
from wit_world.exports.dht22_logic import Dht22Reading
from wit_world.imports import buzzer_controller, gpio_provider, led_controller


class Dht22Logic(Base):
    def poll(self) -> list[Dht22Reading]:
        temperature, humidity = gpio_provider.read_dht22(4)
        led_controller.set_led(1, 0, 255, 0)
        led_controller.sync_leds()
        if temperature > 80:
            buzzer_controller.beep(3, 100, 100)
        now_ms = gpio_provider.get_timestamp_ms()
        return [Dht22Reading("dht22-gpio4", temperature, humidity, now_ms)]
