"""Tables of the steps: of a hub, of a node, and of both for removal."""

from pathlib import Path

import msgspec

from bus.config.broker_table import CREDENTIALS_NAME
from bus.config.key_types import Port
from bus.config.web_table import WebConfig
from bus.contract.join import Attached
from bus.install import assets
from harvester.install import configuration
from harvester.install.environment import LINK, Environment, UpdaterLink
from harvester.install.file_steps import Folder, Link, Remains, WrittenFile, secret_mode
from harvester.install.found import Found
from harvester.install.step import Step
from harvester.install.system import System
from harvester.install.unit_steps import (
    SYSUSERS_FILE,
    USER,
    EnabledUnit,
    Reload,
    Services,
    ServiceUser,
)
from harvester.update import trust

CONFIGURATIONS = "/etc/harvester"
UNITS = "/etc/systemd/system"
HUB_STATE = "/var/lib/harvester-hub"
COMMAND = "/usr/local/bin/harvester"
HUB_UNIT, AGENT_UNIT, PIZERO_UNIT = (
    "harvester-hub.service",
    "harvester-agent@.service",
    "harvester-pizero.service",
)
UPDATE_UNIT, UPDATE_PATH = "harvester-update.service", "harvester-update.path"
BACKUP_UNIT, BACKUP_TIMER = "harvester-backup.service", "harvester-backup.timer"
_GROUPS = ("gpio", "i2c", "spi", "dialout")
# Of a Revolution Pi's process image, which its own system makes.
_REVPI_GROUP = "picontrol"


def hub(system: System, found: Found, node: str) -> list[Step]:
    """Return the steps of a hub whose own node is called `node`."""
    # Needs the extra `hub`, which no other machine has.
    from harvester.install.certificate_step import Certificate  # noqa: PLC0415

    text = configuration.hub(_shipped("config/hub.toml"), node, found)
    config_path = f"{CONFIGURATIONS}/hub.toml"
    state = f"{HUB_STATE}/{node}"
    return [
        *_machine(system, found),
        _configuration(system, "hub.toml", text),
        Folder(system=system, path=HUB_STATE, mode=0o700, user=USER, is_data=True),
        Folder(system=system, path=state, mode=0o700, user=USER, is_data=True),
        Folder(system=system, path=f"{state}/tls", mode=0o700, user=USER, is_data=True),
        Certificate(system=system, directory=f"{state}/tls", config_path=config_path),
        *_units(system, HUB_UNIT, AGENT_UNIT, BACKUP_UNIT, BACKUP_TIMER, UPDATE_UNIT),
        EnabledUnit(system=system, unit=UPDATE_UNIT),
        Services(system=system, units=(HUB_UNIT, _instance("hub"), BACKUP_TIMER)),
    ]


class NodeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a person or the hub says of a new node.

    `credentials` are the content of its file, `join_port` is that of the hub.
    """

    credentials: bytes | None = None
    join_port: Port = WebConfig().join_port
    attached: Attached = Attached()
    area: str = ""

    def __repr__(self) -> str:
        return f"NodeOptions({self.attached}, {self.area!r})"


def node(system: System, found: Found, name: str, options: NodeOptions) -> list[Step]:
    """Return the steps of a plugin host."""
    shipped = _shipped("config/spoke.toml")
    text = configuration.spoke(shipped, name, found, options.attached, options.area)
    return [
        *_machine(system, found),
        _configuration(system, "spoke.toml", text),
        *_credentials(system, options),
        *_units(system, AGENT_UNIT, UPDATE_UNIT, UPDATE_PATH),
        EnabledUnit(system=system, unit=UPDATE_UNIT),
        Services(system=system, units=(_instance("spoke"), UPDATE_PATH)),
    ]


def pizero(system: System, found: Found, name: str, options: NodeOptions) -> list[Step]:
    """Return the steps of a machine with the light service, which drives nothing attached."""
    text = configuration.pizero(_shipped("config/pizero.toml"), name, found, options.area)
    return [
        *_machine(system, found),
        _configuration(system, "pizero.toml", text),
        *_credentials(system, options),
        *_units(system, PIZERO_UNIT, UPDATE_UNIT, UPDATE_PATH),
        EnabledUnit(system=system, unit=UPDATE_UNIT),
        Services(system=system, units=(PIZERO_UNIT, UPDATE_PATH)),
    ]


def everything(system: System, found: Found) -> list[Step]:
    """Return the steps to undo on any machine, in the order of an installation."""
    nodes = (_instance("hub"), _instance("spoke"), PIZERO_UNIT)
    services = (HUB_UNIT, *nodes, BACKUP_TIMER, UPDATE_PATH)
    return [
        *_machine(system, found),
        Remains(
            system=system,
            what="configuration and credentials",
            patterns=("etc/harvester",),
            is_data=True,
        ),
        Remains(
            system=system,
            what="accounts, certificates, history and state",
            patterns=("var/lib/harvester-*",),
            is_data=True,
        ),
        Remains(system=system, what="compiled plugins", patterns=("var/cache/harvester-*",)),
        # systemd.timer(5), Persistent=.
        Remains(
            system=system,
            what="time of the last nightly backup",
            patterns=("var/lib/systemd/timers/stamp-harvester-*",),
        ),
        Reload(system=system),
        *_units(system, HUB_UNIT, AGENT_UNIT, PIZERO_UNIT, BACKUP_UNIT, BACKUP_TIMER),
        *_units(system, UPDATE_UNIT, UPDATE_PATH),
        EnabledUnit(system=system, unit=UPDATE_UNIT),
        Services(system=system, units=services),
    ]


def _machine(system: System, found: Found) -> list[Step]:
    """Return the steps that every machine needs."""
    groups = (*_GROUPS, _REVPI_GROUP) if found.model.is_revpi else _GROUPS
    users = _shipped("deploy/harvester.sysusers.conf")
    users += f"m {USER} {_REVPI_GROUP}\n" if found.model.is_revpi else ""
    return [
        Environment(system=system),
        UpdaterLink(system=system),
        Link(system=system, path=COMMAND, target=f"{LINK}/bin/harvester"),
        WrittenFile(system=system, path=SYSUSERS_FILE, content=users.encode(), what="users"),
        ServiceUser(system=system, groups=groups),
        Folder(system=system, path=CONFIGURATIONS, is_data=True),
    ]


def _configuration(system: System, name: str, text: str) -> Step:
    return WrittenFile(
        system=system,
        path=f"{CONFIGURATIONS}/{name}",
        content=text.encode(),
        what="configuration",
        is_kept=True,
        is_data=True,
    )


def _credentials(system: System, options: NodeOptions) -> list[Step]:
    content = options.credentials
    if content is None:
        return []
    return [
        WrittenFile(
            system=system,
            path=f"{CONFIGURATIONS}/{CREDENTIALS_NAME}",
            content=content,
            what="login",
            mode=secret_mode(),
            user=USER,
            is_data=True,
        ),
        *_update_hub(system, content, options.join_port),
    ]


def _update_hub(system: System, credentials: bytes, join_port: int) -> list[Step]:
    content = trust.content_of(credentials, join_port)
    if content is None:
        return []
    return [
        WrittenFile(
            system=system,
            path=trust.FILE,
            content=content,
            what="hub of updates",
            mode=secret_mode(),
            is_data=True,
        )
    ]


def _units(system: System, *names: str) -> list[Step]:
    return [
        WrittenFile(
            system=system,
            path=f"{UNITS}/{name}",
            content=_shipped(f"deploy/{name}").encode(),
            what="unit",
        )
        for name in names
    ]


def _instance(role: str) -> str:
    return AGENT_UNIT.replace("@.", f"@{role}.")


def _shipped(name: str) -> str:
    return (assets.root() / Path(name)).read_text(encoding="utf-8")
