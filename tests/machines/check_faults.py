"""Faults of machines, one after the other; in the end, every reading is in the history once."""

import datetime as dt
import sys
import time
from collections.abc import Iterator

import pytest

from tests.machines import memory_group, outboxes, product
from tests.machines.fault_table import FaultTable
from tests.machines.laboratory import Laboratory
from tests.machines.machine import Machine
from tests.machines.outboxes import held, not_stored
from tests.machines.site import PI4_UNIT, PLUGINS, ZERO_UNIT, Site, site
from tests.machines.wrong_clock import WrongClock

_HUB_STATE = "/var/lib/harvester-hub"
# The outbox is written to the disk once a minute; on a busy machine a little later.
_MOST_LOST_MS = 75_000
_MB = 1024 * 1024


@pytest.fixture(scope="module")
def made(lab: Laboratory) -> Iterator[Site]:
    with site(lab) as machines:
        yield machines


@pytest.fixture(scope="module")
def table(made: Site) -> FaultTable:
    return FaultTable(made)


def machine(made: Site, name: str) -> Machine:
    return next(node for node in made.nodes if node.name == name)


@pytest.mark.parametrize("name", ["revpi", "pi4"])
def test_a_machine_comes_back_after_a_reboot(made: Site, table: FaultTable, name: str) -> None:
    with table.fault(f"reboot of {name}", name) as fault:
        fault.expected[name] = held(machine(made, name))
        fault.ends()
        machine(made, name).reboot()


@pytest.mark.parametrize("name", ["revpi", "pi4", "zero"])
def test_a_machine_comes_back_after_a_power_cut(made: Site, table: FaultTable, name: str) -> None:
    with table.fault(f"power cut of {name}", name) as fault:
        fault.at_risk[name] = held(machine(made, name))
        machine(made, name).power_cut()
        fault.ends()
        machine(made, name).power_on()


def test_a_node_that_boots_without_its_cable_measures_at_once(
    made: Site, table: FaultTable
) -> None:
    with table.fault("boot of pi4 without its cable", "pi4") as fault:
        made.pi4.power_off()
        made.pi4.power_on(cable=False)
        assert product.properties(made.pi4, PI4_UNIT)["ActiveState"] == "active"
        made.pi4.wait_until(lambda: len(held(made.pi4)) > 0, "readings are in the outbox")
        fault.expected["pi4"] = held(made.pi4)
        fault.ends()
        made.pi4.plug_cable()


def test_a_cut_network_costs_no_reading(made: Site, table: FaultTable) -> None:
    with table.fault("network of pi4 and zero cut until the hub missed them") as fault:
        made.pi4.pull_cable()
        made.zero.pull_cable()
        for name in ("pi4", "zero"):
            made.hub.wait_until(
                lambda name=name: product.presence(made.hub, name) != "online",  # type: ignore[misc]
                f"{name} is missed",
            )
        fault.expected["pi4"] = held(made.pi4)
        fault.ends()
        made.pi4.plug_cable()
        made.zero.plug_cable()


def test_a_hub_that_is_away_for_minutes_costs_what_was_in_ram_at_a_power_cut(
    made: Site, table: FaultTable
) -> None:
    name = "hub away for minutes; meanwhile power cut of pi4 and kill of zero's service"
    with table.fault(name, "pi4", "zero") as fault:
        made.hub.run("systemctl stop harvester-hub")
        for node in (made.pi4, made.zero):
            node.wait_until(lambda node=node: any(r.is_safe for r in held(node)), "it is on disk")  # type: ignore[misc]
        made.pi4.wait_until(lambda: any(not r.is_safe for r in held(made.pi4)), "some is in RAM")
        of_pi4 = fault.at_risk["pi4"] = held(made.pi4)
        fault.expected["zero"] = held(made.zero)
        made.pi4.power_cut()
        made.pi4.power_on()
        made.zero.run(f"systemctl kill --signal=KILL {ZERO_UNIT}")
        before = {reading.stream for reading in of_pi4}
        # Until the next time that the outbox goes to the disk.
        made.pi4.wait_until(
            lambda: any(r.is_safe and r.stream not in before for r in held(made.pi4)),
            "readings of the new boot are on the disk",
        )
        fault.ends()
        made.hub.run("systemctl start harvester-hub")
    times = [reading.timestamp_ms for reading in not_stored(made.hub, "pi4", of_pi4)]
    assert max(times, default=0) - min(times, default=0) < _MOST_LOST_MS


def test_a_full_disk_of_the_hub_costs_nothing_that_was_acknowledged(
    made: Site, table: FaultTable
) -> None:
    hub = made.hub
    hub.run(
        f"systemctl stop harvester-hub && cp -a {_HUB_STATE} /root/state && "
        f"mount -t tmpfs -o size=8m tmpfs {_HUB_STATE} && cp -a /root/state/. {_HUB_STATE} && "
        "systemctl start harvester-hub"
    )
    made.wait_until_online()
    with table.fault("disk of the hub full; meanwhile kill of the hub") as fault:
        hub.attempt(f"dd if=/dev/zero of={_HUB_STATE}/ballast bs=4k")
        hub.wait_until(lambda: product.health(hub)["status"] != "ok", "the status tells it")
        made.pi4.wait_until(lambda: len(held(made.pi4)) > 10, "the outbox keeps what is not stored")
        fault.expected["pi4"] = held(made.pi4)
        # What it acknowledged is on the disk, not in the process.
        hub.run("systemctl kill --signal=KILL harvester-hub")
        fault.ends()
        hub.run(f"rm {_HUB_STATE}/ballast")
        hub.wait_until(lambda: is_well(hub), "the status is well again", product.PATIENT_S)
    hub.run(
        f"systemctl stop harvester-hub && rm -rf /root/state && cp -a {_HUB_STATE} /root/state && "
        f"umount {_HUB_STATE} && cp -a /root/state/. {_HUB_STATE} && systemctl start harvester-hub"
    )
    made.wait_until_online()


def is_well(hub: Machine) -> bool:
    code, text = hub.attempt(f"curl -sf {product.PAGE}/health")
    return code == 0 and '"status":"ok"' in text


def test_a_service_within_its_memory_limit_compiles_its_plugins(made: Site) -> None:
    if not memory_group.is_available():
        pytest.skip("this computer has no memory controller of cgroups version 1")
    limit = int(product.properties(made.pi4, PI4_UNIT)["MemoryMax"])
    made.pi4.run(f"systemctl stop {PI4_UNIT} && rm -r /var/cache/harvester-agent/components")
    with memory_group.memory_group(made.pi4, limit) as group:
        made.pi4.run(f"systemctl start {PI4_UNIT}")
        made.pi4.wait_for(
            f"test $(journalctl -b -o cat -u {PI4_UNIT} | tac | sed '/node pi4 starts/q' | "
            f"grep -c ' runs as .*native code') = {len(PLUGINS)}",
            3 * product.PATIENT_S,
        )
        assert group.kills == 0
        assert group.highest_bytes < limit


def test_a_service_without_memory_is_started_again(made: Site, table: FaultTable) -> None:
    if not memory_group.is_available():
        pytest.skip("this computer has no memory controller of cgroups version 1")
    with (
        table.fault(
            "memory limit too low for the service of pi4 until it was raised", "pi4"
        ) as fault,
        memory_group.memory_group(made.pi4, 24 * _MB) as group,
    ):
        made.pi4.run(f"systemctl stop {PI4_UNIT}; systemctl start --no-block {PI4_UNIT}")
        made.pi4.wait_until(lambda: group.kills > 1, "the kernel ended it twice")
        fault.ends()
        group.limit(int(product.properties(made.pi4, PI4_UNIT)["MemoryMax"]))
        product.wait_until_online(made.hub, "pi4")


def test_a_hung_service_is_started_again_by_the_watchdog(made: Site, table: FaultTable) -> None:
    before = int(product.properties(made.pi4, PI4_UNIT)["NRestarts"])
    with table.fault("service of pi4 hung until the watchdog ended it", "pi4") as fault:
        made.pi4.run(f"systemctl kill --signal=STOP --kill-whom=main {PI4_UNIT}")
        fault.expected["pi4"] = held(made.pi4)
        made.pi4.wait_until(
            lambda: int(product.properties(made.pi4, PI4_UNIT)["NRestarts"]) > before, "end", 200
        )


def test_a_clock_that_is_a_year_behind_is_told_and_repaired(made: Site, table: FaultTable) -> None:
    # A certificate begins a year before it is made, so that a month behind is no obstacle.
    clock, wrong = WrongClock(made.pi4, PI4_UNIT), dt.datetime.now(dt.UTC) - dt.timedelta(days=400)
    with table.fault("clock of pi4 a year behind until it was set", "pi4") as fault:
        clock.start_with("-400d")
        told = f"certificate is valid from 20.* the clock of this machine says {wrong:%Y-%m-%d}"
        made.pi4.wait_for(f"journalctl -q -b -o cat -p err -u {PI4_UNIT} | grep '{told}'")
        made.pi4.wait_until(lambda: any(is_old(r.timestamp_ms) for r in held(made.pi4)), "old ones")
        fault.expected["pi4"] = held(made.pi4)
        fault.ends()
        clock.set_right()
    made.hub.wait_until(
        lambda: not any(is_old(at_ms) for at_ms, _ in outboxes.timestamps(made.hub, "pi4")),
        "no reading is of last year",
    )
    assert any(is_redated for _, is_redated in outboxes.timestamps(made.hub, "pi4"))
    clock.remove()
    made.wait_until_online()


def is_old(timestamp_ms: int) -> bool:
    return timestamp_ms < (time.time() - 86_400) * 1000


@pytest.mark.parametrize("name", ["revpi", "pi4", "zero"])
def test_a_killed_service_costs_no_reading(made: Site, table: FaultTable, name: str) -> None:
    units = {"revpi": "harvester-hub", "pi4": PI4_UNIT, "zero": ZERO_UNIT}
    restarted = () if name == "revpi" else (name,)
    with table.fault(f"kill of {units[name]} on {name}", *restarted) as fault:
        fault.ends()
        machine(made, name).run(f"systemctl kill --signal=KILL {units[name]}")
        fault.expected[name] = held(machine(made, name))


def test_after_all_that_every_reading_is_there_once(
    made: Site, table: FaultTable, capsys: pytest.CaptureFixture[str]
) -> None:
    made.wait_until_online()
    expected = {node.name: held(node) for node in made.nodes}
    for node in made.nodes:
        node.run("systemctl stop 'harvester-agent@*' 'harvester-pizero*'")
    made.wait_until_complete(table.lost)
    with capsys.disabled():
        sys.stdout.write(f"\n\n{table.text()}\n\n")
    for name, readings in expected.items():
        assert not_stored(made.hub, name, readings) == []
        assert outboxes.repeated(made.hub, name) == 0
