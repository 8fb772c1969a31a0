# Written by `harvester plugins stubs` from wit/plugin.wit.

from abc import abstractmethod
from typing import Protocol
from . import air_quality_logic as air_quality_logic
from . import bme680_logic as bme680_logic
from . import dashboard_logic as dashboard_logic
from . import dht22_logic as dht22_logic
from . import oled_logic as oled_logic
from . import pi_monitor_logic as pi_monitor_logic
from . import sensor_logic as sensor_logic

class Dht22Logic(Protocol):
    @abstractmethod
    def poll(self) -> list[dht22_logic.Dht22Reading]: ...

class Bme680Logic(Protocol):
    @abstractmethod
    def poll(self) -> list[bme680_logic.Bme680Reading]: ...

class AirQualityLogic(Protocol):
    @abstractmethod
    def poll(self) -> list[air_quality_logic.AirQualityReading]: ...

class PiMonitorLogic(Protocol):
    @abstractmethod
    def poll(self) -> pi_monitor_logic.PiStats: ...

class DashboardLogic(Protocol):
    @abstractmethod
    def render(self, sensor_data: str) -> str:
        """The whole page as HTML, from the hub's state as JSON."""

class OledLogic(Protocol):
    @abstractmethod
    def update(self, sensor_data: str) -> None:
        """Draw the newest readings of all nodes, given as JSON."""

class SensorLogic(Protocol):
    @abstractmethod
    def poll(self) -> list[sensor_logic.Reading]:
        """Raises Err with a str."""
