"""Backup of a hub under load, its restore on another machine, and the nightly backups."""

from collections.abc import Iterator

import pytest

from tests.machines import outboxes, product
from tests.machines.laboratory import Laboratory
from tests.machines.machine import Machine
from tests.machines.site import Site, site

BACKUP = "/root/hub.zip"
HUB_UNITS = "harvester-hub harvester-agent@hub"
FOLDER = "/var/lib/harvester-backup"
CREDENTIALS = "/etc/harvester/credentials.toml"


@pytest.fixture(scope="module")
def made(lab: Laboratory) -> Iterator[Site]:
    with site(lab) as machines:
        yield machines


@pytest.fixture(scope="module")
def fresh(lab: Laboratory, made: Site) -> Iterator[Machine]:
    """Another machine with the address of the hub, which is gone."""
    with lab.machine("fresh", product.HUB_ADDRESS, on=False) as machine:
        yield machine


def readings(hub: Machine) -> int:
    return sum(product.count(hub, name).stored for name in ("pi4", "zero"))


def test_the_nightly_timer_keeps_the_newest_seven(made: Site) -> None:
    hub = made.hub
    assert "harvester-backup.timer" in hub.run("systemctl list-timers --no-pager")
    for _ in range(9):
        back_up_tonight(hub)
    files = hub.run(f"ls {FOLDER}").split()
    assert len(files) == 7
    assert hub.run(f"stat -c %a:%U {FOLDER}/{files[-1]}").strip() == "600:harvester"


def back_up_tonight(hub: Machine) -> None:
    before = hub.run(f"ls {FOLDER} 2>/dev/null || true")

    # A backup is named by the second.
    def is_there() -> bool:
        # systemd starts nothing six times in ten seconds.
        unit = "harvester-backup.service"
        hub.run(f"systemctl reset-failed {unit}; systemctl start {unit}")
        return hub.run(f"ls {FOLDER}") != before

    hub.wait_until(is_there, "a backup of another name")


def test_the_page_shows_size_and_time_of_the_last_backup(made: Site) -> None:
    (newest,) = made.hub.run(f"ls {FOLDER} | tail -1").split()
    size = int(made.hub.run(f"stat -c %s {FOLDER}/{newest}"))
    made.hub.wait_until(
        lambda: f'"last_bytes":{size}' in made.hub.run(f"curl -sf {product.PAGE}/api/system"),
        "the API tells the size of the last backup",
    )
    text = made.hub.run(f"curl -sf {product.PAGE}/system")
    assert "Nightly backup" in text


def test_a_backup_under_load_is_restored_on_a_fresh_machine(made: Site, fresh: Machine) -> None:
    old = made.hub
    logins = [node.run(f"sha256sum {CREDENTIALS}") for node in (made.pi4, made.zero)]
    at_least = readings(old)
    old.run(f"harvester backup {BACKUP}")
    at_most = readings(old)
    content = old.path(BACKUP).read_bytes()
    old.wait_until(lambda: readings(old) > at_most, "readings after the backup")
    old.power_cut()

    fresh.power_on()
    product.get_program(fresh)
    fresh.run(f"{product.FRESH} install hub --name revpi", 600)
    fresh.run(f"systemctl stop {HUB_UNITS}")
    fresh.path(BACKUP).write_bytes(content)
    fresh.run(f"harvester restore {BACKUP}")
    counts = product.streams(fresh, "pi4") + product.streams(fresh, "zero")
    # Every stream is whole up to the moment of the backup.
    assert at_least <= sum(count.stored for count in counts) <= at_most
    assert not any(count.missing for count in counts)

    waiting = {node.name: outboxes.held(node) for node in (made.pi4, made.zero)}
    fresh.run(f"systemctl start {HUB_UNITS}")
    for name, expected in waiting.items():
        product.wait_until_online(fresh, name)
        fresh.wait_until(
            lambda name=name, expected=expected: not outboxes.not_stored(fresh, name, expected),  # type: ignore[misc]
            f"what {name} kept meanwhile",
        )
        assert outboxes.repeated(fresh, name) == 0
    product.wait_until_online(fresh, "revpi")
    assert [node.run(f"sha256sum {CREDENTIALS}") for node in (made.pi4, made.zero)] == logins
