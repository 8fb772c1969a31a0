"""The wheel is the whole product: installed elsewhere, without network, it runs in any folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bus.contract.plugin_file import component_section
from bus.install import assets
from harvester.plugins.source import digest_of_inputs, discover
from node_agent.sandbox import cache, seal
from tests.built_components import CACHE, packed
from tests.support import HOST, PROJECT, WAIT_S, free_port

START_S = 180.0
PLUGINS = (
    *("bme680", "dashboard", "dht22", "oled"),
    *("pi4-monitor", "pizero-monitor", "revpi-monitor"),
)
# The plugin whose component is built with the wheel.
BUILT = "dht22"
# The smallest component: a header and no section.
COMPONENT = b"\0asm\x0d\0\1\0"
NOT_COPIED = (
    *(".git", ".harvester", ".venv", ".*_cache", "__pycache__", ".hypothesis"),
    *("build", "dist", "*.egg-info", "*.wasm*", "*.cwasm*"),
)

pytestmark = pytest.mark.timeout(600)


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the clone whose components are up to date, but for one that is not built.

    A component takes a minute of a small machine. So those that the build leaves alone are empty,
    save their descriptions.
    """
    packed(PROJECT / "plugins")
    copy = tmp_path_factory.mktemp("clone")
    shutil.copytree(PROJECT, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for file in assets.bundle_runtime().parent.glob("*.wasm*"):
        shutil.copy(file, copy / "plugins")
    if (PROJECT / ".git").exists():
        found = run("git", "rev-parse", "--absolute-git-dir", cwd=PROJECT)
        (copy / ".git").write_text(f"gitdir: {found}")
    wit = copy / "wit" / "plugin.wit"
    for source in discover(copy / "plugins"):
        if source.name != BUILT:
            source.wasm.write_bytes(
                component_section.append(COMPONENT, source.manifest.description)
            )
            source.stamp.write_text(digest_of_inputs(source, wit))
    return copy


@pytest.fixture(scope="session")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", made)
    run(*build, cwd=project)
    (found,) = made.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the console scripts of a fresh environment with the wheel in it.

    The packages that it needs are those of this environment, without the clone itself: what is
    listed in a `.pth` file brings no other `.pth` file along.
    """
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    install = ("install", "--quiet", "--no-index", "--no-deps", wheel)
    run(sys.executable, "-m", "pip", "--python", python, *install, cwd=environment)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(sysconfig.get_path("purelib"))
    return environment / "bin"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return tmp_path


def test_it_carries_contract_configurations_units_and_built_plugins(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        commit = file.read("bus/product/commit").decode().strip()
        built = file.getinfo(f"bus/product/plugins/{BUILT}/{BUILT}.wasm")
    product = [
        "wit/plugin.wit",
        *(f"config/{role}.toml" for role in ("hub", "spoke", "pizero")),
        "config/scenarios/heat-wave.toml",
        "examples/sht31/simulated.py",
        "deploy/INSTALL.md",
        "deploy/harvester-hub.service",
        "deploy/grafana/harvester.json",
        *(f"plugins/{name}/{name}.wasm" for name in PLUGINS),
        *(f"plugins/{name}/{name}.bundle" for name in PLUGINS),
        *(f"plugins/{name}/app.py" for name in PLUGINS),
        "plugins/bundle-runtime.wasm",
    ]
    assert {f"bus/product/{name}" for name in product} - names == set()
    # It has Python in it.
    assert built.file_size > 10_000_000
    assert not [name for name in names if name.startswith("tests/") or "credentials-" in name]
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert commit == (head.stdout[: len(commit)] if head.returncode == 0 else "unknown")


def test_every_program_starts_and_tells_version_and_commit(programs: Path, empty: Path) -> None:
    told = {
        name: run(programs / name, "--version", cwd=empty)
        for name in ("harvester", "hub-app", "node-agent", "node-agent-release", "pizero-native")
    }
    version = told["harvester"].removeprefix("harvester ")
    assert "(commit " in version
    assert told == {name: f"{name} {version}" for name in told}


def test_the_configurations_that_it_writes_are_those_that_it_carries(
    programs: Path, empty: Path
) -> None:
    run(programs / "harvester", "init", "here", "--units", "units", cwd=empty)
    for name in ("hub.toml", "spoke.toml", "pizero.toml"):
        assert (empty / "here" / name).read_text() == (PROJECT / "config" / name).read_text()
    assert len(list((empty / "units").glob("*.service"))) == 5
    assert (empty / "units" / "harvester-backup.timer").is_file()
    checks = (("hub-app", "hub"), ("node-agent", "spoke"), ("pizero-native", "pizero"))
    for program, role in checks:
        checked = run(programs / program, "--config", f"here/{role}.toml", "--check", cwd=empty)
        assert "[cluster]" in checked


def test_its_plugins_are_built_and_an_author_s_plugin_is_made_and_built(
    programs: Path, empty: Path
) -> None:
    harvester = programs / "harvester"
    listed = run(harvester, "plugins", "list", cwd=empty).splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in listed] == [
        (name, "built") for name in PLUGINS
    ]
    run(harvester, "plugins", "new", "lux", cwd=empty)
    # The compiler is a program of the environment from which the packages are borrowed.
    compiler = Path(sysconfig.get_path("scripts")) / "componentize-py"
    (programs / compiler.name).symlink_to(compiler)
    assert "[1/1] lux: " in run(harvester, "plugins", "build", cwd=empty)
    copy_compiled(empty)
    tried = run(harvester, "plugins", "test", "lux", "--grant-all", "--polls", "1", cwd=empty)
    assert "readings 1" in tried


def test_the_whole_system_runs_in_an_empty_folder(programs: Path, empty: Path) -> None:
    copy_compiled(empty)
    with system(programs, empty) as (page, process):
        wait_until(lambda: is_on_the_page(page), process, empty / "log")
        assert (empty / ".harvester" / "revpi" / "accounts.json").is_file()
        process.terminate()
        assert process.wait(WAIT_S) == 0
    assert (empty / "log").read_text().rstrip().endswith("stopped")


def copy_compiled(folder: Path) -> None:
    """Spare the compiler the runtime of bundles, which this clone has compiled already."""
    compiled, _ = cache.compiled(assets.bundle_runtime(), CACHE)
    target = folder / ".harvester" / "cache"
    target.mkdir(parents=True, mode=0o700)
    for file in (compiled, seal.seal_path(compiled)):
        shutil.copy(file, target)


@contextmanager
def system(programs: Path, folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    web = free_port()
    ports = ("--web-port", web, "--mqtt-port", free_port(), "--zero-port", free_port())
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [programs / "harvester", "up", *map(str, ports)],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Nothing of the clone, and nothing of the user's.
            env={**os.environ, "PYTHONPATH": "", "HOME": str(folder)},
        ) as process,
    ):
        try:
            yield f"http://{HOST}:{web}/", process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(WAIT_S)


def is_on_the_page(page: str) -> bool:
    """Whether both spokes have readings, and the room's temperature is on the page."""
    found = json.loads(fetch(f"{page}api/readings"))["readings"]
    data = {reading["sensor_id"]: reading["data"] for reading in found}
    if not {"pi4:dht22-gpio4", "pizero:bme680-0x76"} <= set(data):
        return False
    return f"{data['pi4:dht22-gpio4']['temperature']:.1f}" in fetch(page)


def wait_until(holds: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, log.read_text()
        with suppress(OSError):
            if holds():
                return
        time.sleep(0.2)
    raise AssertionError(f"no reading on the page after {START_S} s: {log.read_text()}")


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
        return str(answer.read(), "utf-8")
