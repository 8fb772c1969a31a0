"""Report of `harvester doctor`: checks a machine against its node's configuration.

It changes nothing: no relay is switched, no LED lit, no directory made.
"""

import contextlib
from collections.abc import Iterator

import msgspec

from bus.config.settings import Config
from harvester.doctor.boot import boot_findings
from harvester.doctor.chips import Blockers, chip_findings
from harvester.doctor.finding import Finding, ok, rendered, skipped
from harvester.doctor.machine import Machine
from harvester.doctor.models import facts, model_findings
from harvester.doctor.needs import DHT22, Role, i2c, interfaces, runs_plugins
from harvester.doctor.services import service_findings
from harvester.doctor.system import (
    blocker,
    interface_findings,
    memory_limit,
    special_findings,
)
from node_agent.hal.board import open_hardware


def examine(config: Config, role: Role, machine: Machine) -> list[Finding]:
    """Return every finding, each once, in the order in which they should be mended.

    Raises MisconfiguredError where the scenario of simulated hardware is wrong.
    """
    found = (
        *_system_findings(config, role, machine),
        *_hardware_findings(config, role, machine),
        *service_findings(config, role, machine),
    )
    return list(dict.fromkeys(found))


def report(config: Config, role: Role, machine: Machine) -> tuple[str, bool]:
    """Return the text for a person, and whether all is well."""
    findings = examine(config, role, machine)
    count = sum(not finding.is_well for finding in findings)
    groups = ", ".join(sorted(machine.groups)) or "no group"
    head = f"{config.cluster.node_id}, {role}, as user {machine.user} in {groups}"
    end = f"{count} of {len(findings)} missing" if count else "all is well"
    return f"{head}\n\n{rendered(findings)}\n\n{end}", count == 0


def _system_findings(config: Config, role: Role, machine: Machine) -> Iterator[Finding]:
    if config.hardware.driver == "simulated":
        yield skipped("devices", "hardware.driver is simulated: no device, group or library needed")
        return
    found = facts(machine, config)
    wanted = interfaces(config, role, found)
    if runs_plugins(config, role):
        yield from model_findings(config, found.model)
    if not wanted:
        yield ok("devices", "the configuration names none")
    for interface in wanted:
        yield from interface_findings(machine, interface)
    yield memory_limit(machine)
    if runs_plugins(config, role):
        yield from special_findings(machine, config, wanted)
        yield from boot_findings(machine, config, found)


def _hardware_findings(config: Config, role: Role, machine: Machine) -> Iterator[Finding]:
    blockers = Blockers()
    if config.hardware.driver != "simulated":
        wanted = interfaces(config, role, facts(machine, config))
        blockers = Blockers(
            blocker(machine, i2c(config)),
            blocker(machine, DHT22) if DHT22 in wanted else None,
        )
    # The record of what simulated hardware does is the agent's.
    quiet = msgspec.structs.replace(config.hardware, record_file="")
    opened = open_hardware(msgspec.structs.replace(config, hardware=quiet))
    with contextlib.closing(opened) as hardware:
        yield from chip_findings(config, role, hardware, blockers)
