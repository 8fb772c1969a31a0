"""Configuration of a node as one typed object, checked when built.

`bus.config.config_file` reads it from a file. Every table has defaults, so an empty file is a
working spoke in search of its hub.
"""

from typing import Annotated, Any, Literal

import msgspec

from bus.config import broker_url
from bus.config.alarms_table import AlarmConfigs, NotifyConfig, check_rules
from bus.config.broker_table import DEFAULT_HUB_URL, LOOPBACK, BrokerConfig
from bus.config.grant_table import Grant, Output, granted_pins
from bus.config.history_table import BackupConfig, FleetConfig, HistoryConfig, check_fleet
from bus.config.homeassistant_table import HomeAssistantConfig, check_homeassistant
from bus.config.key_types import (
    SPI0_MOSI_PIN,
    I2cAddress,
    Pin,
    Seconds,
    SpiDevice,
    Table,
)
from bus.config.limits_table import LimitsConfig
from bus.config.outbox_table import OutboxConfig
from bus.config.web_table import WebConfig, check_join_name, check_tls, check_trusted_proxies
from bus.contract import given_settings
from bus.contract.bounds import Name, Word
from bus.contract.given_settings import GivenSettings, SettingTable
from bus.contract.topics import RESERVED_NAMES
from bus.errors import MisconfiguredError
from bus.peer_address import is_host, share_an_address

__all__ = ["Grant"]

# `fleet` is no node: it is the page over the database of many hubs.
Role = Literal["hub", "spoke", "fleet"]


class ClusterConfig(Table, frozen=True):
    """`service` is what `pizero-native` runs as: itself, or the plugin host.

    `title` and `area` are for people: what the node is called, and where it is.
    """

    node_id: Name = "node"
    title: Word = ""
    area: Word = ""
    role: Role = "spoke"
    service: Literal["native", "plugin-host"] = "native"


class NameConfig(Table, frozen=True):
    """What people call a sensor, and where it is. Empty: its id, and where its node is."""

    title: Word = ""
    area: Word = ""


class PollingConfig(Table, frozen=True):
    interval_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 2.0


class SensorsConfig(Table, frozen=True):
    """Pins and addresses of the sensors.

    A DHT22 may be read every 2 s at most (datasheet section 7). It is read by the kernel's driver
    ("iio"), by adafruit_dht, or by the kernel's where it has the pin ("auto").
    """

    dht22_pins: list[Pin] = []
    dht22_driver: Literal["auto", "iio", "adafruit"] = "auto"
    bme680_addresses: list[I2cAddress] = []


# Colours in the order in which a strip takes them.
ColorOrder = Literal["RGB", "RBG", "GRB", "GBR", "BRG", "BGR"]


class LedsConfig(Table, frozen=True):
    """WS2812B strip, or the LEDs on the front of a Revolution Pi.

    A strip is driven by rpi_ws281x, or by SPI on pin 10 where that cannot ("auto"). Most strips
    take green first; `brightness` dims all colours, 255 is full.
    """

    count: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    pin: Pin = 18
    order: ColorOrder = "GRB"
    brightness: Annotated[int, msgspec.Meta(ge=0, le=255)] = 64
    driver: Literal["auto", "ws281x", "spi", "revpi"] = "auto"


class BuzzerConfig(Table, frozen=True):
    """A relay that is never closed for longer than `longest_on_ms`, whatever a command says."""

    pin: Pin = 17
    active_low: bool = True
    longest_on_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 10_000


class FanConfig(Table, frozen=True):
    pin: Pin = 27
    active_low: bool = True


class LoggingConfig(Table, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"


DeadlineS = Annotated[float, msgspec.Meta(ge=0.05, le=60)]
MemoryMb = Annotated[int, msgspec.Meta(ge=16, le=512)]
LogLines = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
ResultKb = Annotated[int, msgspec.Meta(ge=1, le=4096)]
Readings = Annotated[int, msgspec.Meta(ge=1, le=1000)]
RecordKb = Annotated[int, msgspec.Meta(ge=0, le=16_384)]
HostCalls = Annotated[int, msgspec.Meta(ge=10, le=1_000_000)]


class PluginLimits(Table, frozen=True):
    """Limits of one plugin, where they differ from those of all plugins."""

    poll_deadline_s: DeadlineS | None = None
    load_deadline_s: DeadlineS | None = None
    memory_mb: MemoryMb | None = None
    log_lines_per_minute: LogLines | None = None
    result_kb: ResultKb | None = None
    readings_per_poll: Readings | None = None
    host_calls_per_poll: HostCalls | None = None


class PluginsConfig(Table, frozen=True):
    """`directory` holds one folder a plugin with `<name>.wasm` or `<name>.bundle` in it.

    `target` is what plugins run as: native code, portable bytecode, or the first that there is.
    `form` is the one that runs where both are there: see `bus.config.plugin_files.plugin_file`.
    """

    directory: str = "plugins"
    enabled: list[Name] = []
    target: Literal["auto", "native", "pulley64"] = "auto"
    form: Literal["auto", "bundle", "component"] = "auto"
    poll_deadline_s: DeadlineS = 1.0
    # Of a bundle's import, which takes seconds as bytecode on a slow machine.
    load_deadline_s: DeadlineS = 10.0
    memory_mb: MemoryMb = 32
    log_lines_per_minute: LogLines = 120
    result_kb: ResultKb = 64
    readings_per_poll: Readings = 64
    host_calls_per_poll: HostCalls = 10_000
    # Of memory for each plugin's flight recorder; 0: none.
    record_kb: RecordKb = 256
    limits: dict[Name, PluginLimits] = {}
    grants: dict[Name, Grant] = {}
    # Values of what a plugin's author lets its owner choose; in `sensors` those of single sensors.
    settings: dict[Name, SettingTable] = {}

    def given_settings(self, plugin: str) -> GivenSettings:
        return given_settings.split(self.settings.get(plugin, {}))


class HardwareConfig(Table, frozen=True):
    """The driver, real or simulated, and the devices of the node."""

    driver: Literal["raspberry-pi", "simulated"] = "raspberry-pi"
    i2c_bus: Annotated[int, msgspec.Meta(ge=0, le=31)] = 1
    ssd1306_addresses: list[I2cAddress] = []
    spi_device: SpiDevice = "0.0"
    uart_device: str = "/dev/serial0"
    # Simulated hardware only: what happens to the chips, and a file that records what they did.
    scenario: str = ""
    record_file: str = ""
    # Tables and keys that are laid over the scenario's.
    scenario_values: dict[str, Any] = {}


class PingsConfig(Table, frozen=True):
    """Hosts whose answer time a Pi Zero measures; the keys name them on the page."""

    hosts: dict[Name, str] = {}
    interval_s: Seconds = 10.0
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 1.0


class StorageConfig(Table, frozen=True):
    """Empty: the service's own directories where systemd gives them, else the user's."""

    state_dir: str = ""
    cache_dir: str = ""
    # Best on a tmpfs: files that change every cycle are kept here.
    runtime_dir: str = ""


class Config(Table, frozen=True):
    """The configuration of one node. Raises MisconfiguredError where tables contradict."""

    cluster: ClusterConfig = ClusterConfig()
    broker: BrokerConfig = BrokerConfig()
    names: dict[Name, NameConfig] = {}
    polling: PollingConfig = PollingConfig()
    sensors: SensorsConfig = SensorsConfig()
    leds: LedsConfig = LedsConfig()
    buzzer: BuzzerConfig | None = None
    fan: FanConfig | None = None
    logging: LoggingConfig = LoggingConfig()
    plugins: PluginsConfig = PluginsConfig()
    hardware: HardwareConfig = HardwareConfig()
    web: WebConfig = WebConfig()
    pings: PingsConfig = PingsConfig()
    storage: StorageConfig = StorageConfig()
    outbox: OutboxConfig = OutboxConfig()
    history: HistoryConfig = HistoryConfig()
    backup: BackupConfig = BackupConfig()
    limits: LimitsConfig = LimitsConfig()
    alarms: AlarmConfigs = []
    notify: NotifyConfig = NotifyConfig()
    homeassistant: HomeAssistantConfig = HomeAssistantConfig()
    fleet: FleetConfig = FleetConfig()

    def __post_init__(self) -> None:
        checks = (
            _check_broker,
            _check_ports,
            _check_web,
            pin_users,
            _check_spi_strip,
            _check_led_owners,
            _check_sole_users,
            _check_grants,
            _check_alarms,
            _check_homeassistant,
            _check_share,
            _check_fleet,
            _check_settings,
            _check_storage,
        )
        for check in checks:
            check(self)

    @property
    def embeds_broker(self) -> bool:
        return self.cluster.role == "hub" and not self.broker.url

    @property
    def broker_url(self) -> str:
        """URL of the broker for this node's clients, unless its credentials name another one."""
        if self.embeds_broker:
            return broker_url.make(LOOPBACK, self.broker.port, tls=False)
        return self.broker.url or DEFAULT_HUB_URL

    @property
    def broker_address(self) -> tuple[str, int]:
        """Host and port of `broker_url`, the first where it names several."""
        return broker_url.parse(self.broker_url, "broker.url").address


def _check_broker(config: Config) -> None:
    broker_url.parse(config.broker_url, "broker.url")


def _check_ports(config: Config) -> None:
    web, broker = config.web, config.broker
    is_same_port = web.port == broker.port and share_an_address(web.listen, broker.listen)
    if config.embeds_broker and is_same_port:
        raise MisconfiguredError(
            f"web.port: found {web.port}, which broker.port has already; expected another port"
        )


def check_addresses(config: Config) -> None:
    """Raise MisconfiguredError where nothing can listen, as starting the program would."""
    for key, address in (
        ("broker.listen", config.broker.listen),
        ("web.listen", config.web.listen),
    ):
        if not is_host(address):
            raise MisconfiguredError(
                f"{key}: found {address[:80]!r}, expected an address of this machine, for example "
                "0.0.0.0 or ::, without a port"
            )


def _check_web(config: Config) -> None:
    check_trusted_proxies(config.web)
    check_join_name(config.web)
    check_tls(config.web, config.cluster.role)


def _check_alarms(config: Config) -> None:
    check_rules(config.alarms)


def _check_homeassistant(config: Config) -> None:
    table = config.homeassistant
    check_homeassistant(table, config.cluster.role)
    if table.broker and _own_broker_addresses(config) & {*table.broker_url.addresses}:
        raise MisconfiguredError(
            f"homeassistant.broker: found {table.broker!r}, which is the hub's own broker; "
            "expected another one, or none where Home Assistant uses the hub's"
        )


def _check_share(config: Config) -> None:
    """Refuse a worker without a broker to share, and one that would forward besides the others."""
    worker = config.broker.worker
    if worker is None:
        return
    if worker.index > worker.count:
        raise MisconfiguredError(
            f"broker.share: found {config.broker.share!r}, expected a worker from 1 to "
            f"{worker.count}"
        )
    if config.cluster.role != "hub" or not config.broker.url:
        raise MisconfiguredError(
            f"broker.share: found {config.broker.share!r}, expected it on a hub with broker.url "
            "only: workers divide the nodes of a broker that none of them embeds"
        )
    if config.homeassistant.broker:
        raise MisconfiguredError(
            f"homeassistant.broker: found {config.homeassistant.broker!r} with broker.share, "
            "expected none: let Home Assistant use the broker of broker.url"
        )


def _check_fleet(config: Config) -> None:
    check_fleet(config.fleet, config.cluster.role)


def _own_broker_addresses(config: Config) -> set[tuple[str, int]]:
    if not config.embeds_broker:
        return {*broker_url.parse(config.broker_url, "broker.url").addresses}
    broker = config.broker
    hosts = (LOOPBACK, "localhost", "::1", "0.0.0.0", "::", broker.listen)  # noqa: S104 - names them
    return {(host, port) for host in hosts for port in (broker.port, broker.tls_port)}


def pin_users(config: Config) -> dict[int, str]:
    """Return the key of the configuration that uses each pin.

    Raises MisconfiguredError where two keys use the same one.
    """
    users = [(f"sensors.dht22_pins[{i}]", pin) for i, pin in enumerate(config.sensors.dht22_pins)]
    if config.leds.count and config.leds.driver != "revpi":
        users.append(("leds.pin", config.leds.pin))
    if config.buzzer is not None:
        users.append(("buzzer.pin", config.buzzer.pin))
    if config.fan is not None:
        users.append(("fan.pin", config.fan.pin))
    for plugin in config.plugins.enabled:
        users += granted_pins(plugin, config.plugins.grants.get(plugin, Grant()))
    taken: dict[int, str] = {}
    for key, pin in users:
        if pin in taken:
            raise MisconfiguredError(
                f"{key}: found pin {pin}, which {taken[pin]} has already; "
                "expected a pin that nothing else uses"
            )
        taken[pin] = key
    return taken


def i2c_users(config: Config) -> dict[int, str]:
    """Return the key of the configuration that grants each I2C address."""
    return {
        int(address, 16): f"plugins.grants.{plugin}.i2c"
        for plugin in config.plugins.enabled
        for address in config.plugins.grants.get(plugin, Grant()).i2c
    }


def enabled_outputs(config: Config) -> list[Output]:
    """Return the pins that enabled plugins may drive."""
    plugins = config.plugins
    granted = (plugins.grants.get(name, Grant()) for name in plugins.enabled)
    return [output for grant in granted for output in grant.outputs]


def _check_spi_strip(config: Config) -> None:
    """Refuse an LED strip that SPI cannot drive, or shows what a plugin sends to a chip."""
    leds = config.leds
    if not leds.count or leds.driver == "revpi":
        return
    if leds.driver == "spi" and leds.pin != SPI0_MOSI_PIN:
        raise MisconfiguredError(
            f'leds.pin: found {leds.pin}, expected {SPI0_MOSI_PIN} with leds.driver = "spi"'
        )
    shares_bus = leds.pin == SPI0_MOSI_PIN and config.hardware.spi_device.startswith("0.")
    for plugin in config.plugins.enabled if shares_bus else []:
        if config.plugins.grants.get(plugin, Grant()).spi:
            raise MisconfiguredError(
                f"plugins.grants.{plugin}.spi: found true, which sends to pin {leds.pin}, the LED "
                'strip\'s; expected hardware.spi_device = "1.0" or another leds.pin'
            )


def _check_led_owners(config: Config) -> None:
    owners: dict[int, str] = {}
    for plugin in config.plugins.enabled:
        for index in config.plugins.grants.get(plugin, Grant()).leds:
            key = f"plugins.grants.{plugin}.leds"
            # No strip at all: the same plugin runs, and lights nothing.
            if config.leds.count and index >= config.leds.count:
                raise MisconfiguredError(
                    f"{key}: found LED {index}, expected less than leds.count = {config.leds.count}"
                )
            if index in owners:
                raise MisconfiguredError(
                    f"{key}: found LED {index}, which {owners[index]} owns already; "
                    "expected an LED of its own"
                )
            owners[index] = plugin


def _check_sole_users(config: Config) -> None:
    """Refuse two plugins that use the same chip or port.

    A measurement takes several transfers, and a transfer of another plugin between them would
    change the result; bytes that one plugin has read from the serial port are lost to the other.
    Two plugins may share a DHT22: each read is complete in itself.
    """
    users: dict[str, str] = {}
    for plugin in config.plugins.enabled:
        grant = config.plugins.grants.get(plugin, Grant())
        things = [f"i2c: found {address!r}" for address in grant.i2c]
        things += ["uart: found true"] if grant.uart else []
        for thing in things:
            user = users.setdefault(thing, plugin)
            if user != plugin:
                raise MisconfiguredError(
                    f"plugins.grants.{plugin}.{thing}, which {user} has already; "
                    "expected one plugin for it"
                )


def _check_grants(config: Config) -> None:
    for plugin, grant in config.plugins.grants.items():
        for pin in grant.gpio:
            if pin not in config.sensors.dht22_pins:
                raise MisconfiguredError(
                    f"plugins.grants.{plugin}.gpio: found pin {pin}, expected one of "
                    f"sensors.dht22_pins = {config.sensors.dht22_pins}"
                )
    for plugin in config.plugins.enabled:
        if plugin in RESERVED_NAMES:
            raise MisconfiguredError(
                f"plugins.enabled: found {plugin!r}, expected a name that no topic reserves"
            )


def _check_settings(config: Config) -> None:
    """Refuse what is no table of settings. Values are checked where their descriptions are."""
    for plugin, table in config.plugins.settings.items():
        if line := given_settings.structure_mistake(table):
            raise MisconfiguredError(f"plugins.settings.{plugin}.{line}")


def _check_storage(config: Config) -> None:
    """Refuse one directory for both: each holds an outbox file of the same name."""
    storage = config.storage
    if storage.runtime_dir and storage.runtime_dir == storage.state_dir:
        raise MisconfiguredError(
            f"storage.runtime_dir: found {storage.runtime_dir!r}, the directory of "
            "storage.state_dir; expected another"
        )
