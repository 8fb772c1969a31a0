# Written by `harvester plugins stubs` from wit/plugin.wit.

from . import buzzer_controller as buzzer_controller
from . import events as events
from . import fan_controller as fan_controller
from . import gpio as gpio
from . import gpio_provider as gpio_provider
from . import i2c as i2c
from . import led_controller as led_controller
from . import plugin_state as plugin_state
from . import readings as readings
from . import settings as settings
from . import spi as spi
from . import system_info as system_info
from . import uart as uart
