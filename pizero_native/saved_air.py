"""Air quality index whose baseline is kept in a store and survives a restart."""

import logging
import time

from bus.clock import now_ms
from bus.errors import BadDataError
from bus.fault import Fault
from node_agent.plugins.store import PluginStore
from plugins.bme680.air_settings import AirSettings
from plugins.bme680.iaq import AirQuality, Quality

logger = logging.getLogger(__name__)


class SavedAirQuality:
    """Air quality of one sensor; its baseline is `key` in `store`."""

    def __init__(self, store: PluginStore, key: str, settings: AirSettings) -> None:
        self._store = store
        self._key = key
        self._fault = Fault(f"{key}: keeping the baseline")
        self._quality = AirQuality()
        # Before the restoring: a saved baseline belongs to a set point of the heater.
        self.configure(settings)
        if saved := store.get(key):
            self._quality.restore(saved, now_ms())

    def configure(self, settings: AirSettings) -> None:
        """Take the owner's settings, which hold from the next measurement on."""
        self._log(
            self._quality.configure(settings.burn_in_s, settings.heater_c, settings.heater_ms)
        )

    def update(self, gas_ohm: float, humidity_pct: float) -> Quality:
        """Take in one valid measurement."""
        now_s = time.monotonic()
        self._log(self._quality.follow_clock(now_ms(), now_s))
        quality = self._quality.update(gas_ohm, humidity_pct, now_s)
        self._keep()
        return quality

    def _keep(self) -> None:
        """Put the baseline, if there is one, into the store, which saves it once a minute."""
        if self._quality.burning_in or self._quality.waits_for_clock:
            return
        try:
            self._store.set(self._key, self._quality.export(now_ms()))
        except BadDataError as e:
            self._fault.failed(str(e))
        else:
            self._fault.worked()

    def _log(self, line: str) -> None:
        if line:
            logger.info("%s: %s", self._key, line)
