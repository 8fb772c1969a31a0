"""Fixtures: a system, and a Home Assistant that is connected to it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.auth import accounts
from tests.home_assistant import attic
from tests.home_assistant.attic import Attic
from tests.home_assistant.install import RELEASES, Release
from tests.home_assistant.instance import HomeAssistant
from tests.home_assistant.system import LOGIN, Discovered, System
from tests.hub_app.homeassistant.forward.home import HomeBroker


class Way(msgspec.Struct, frozen=True):
    """A version of Home Assistant, a form of discovery, and whose broker it uses."""

    release: Release
    form: str = "single"
    has_own_broker: bool = False

    def __str__(self) -> str:
        broker = "own" if self.has_own_broker else "hub"
        return f"{self.release.version}-{self.form}-{broker}"


OLD, NEW = RELEASES
WAYS = (Way(OLD), Way(NEW), Way(NEW, "device"), Way(OLD, "single", True), Way(NEW, "device", True))


class House(msgspec.Struct, frozen=True):
    """Everything that runs in one test module."""

    way: Way
    system: System
    attic: Attic
    home: HomeAssistant
    broker: Discovered


@pytest.fixture(scope="module", params=WAYS, ids=str)
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    way: Way = request.param
    if not way.release.is_installed:
        pytest.skip(f"Home Assistant {way.release.version} is not installed")
    folder = tmp_path_factory.mktemp("house")
    with contextlib.ExitStack() as stack:
        keys: dict[str, object] = {"homeassistant__form": way.form}
        login, port = LOGIN, 0
        if way.has_own_broker:
            login, port = {}, stack.enter_context(HomeBroker(folder)).port
            keys["homeassistant__broker"] = f"mqtt://127.0.0.1:{port}"
        system = stack.enter_context(System(_made(folder / "state"), **keys))
        token = accounts.enroll(system.accounts, attic.NAME)
        node = stack.enter_context(Attic(system.mqtt_port, token))
        port = port or system.mqtt_port
        broker = stack.enter_context(Discovered(port))
        home = HomeAssistant(way.release, _made(folder / "home"), port, login)
        stack.enter_context(home)
        home.wait("sensor.attic_box_dust", lambda found: found["state"] not in ("", "(none)"))
        home.wait_until_settled()
        yield House(way, system, node, home, broker)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
