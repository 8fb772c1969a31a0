"""Extras by role: the light service needs none, and a program without its own names it."""

import subprocess
import sys
import tomllib

import pytest

from tests.support import PROJECT

METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
# What an installation without extras does not have.
HEAVY = ("amqtt", "argon2", "cryptography", "prometheus_client", "sse_starlette", "starlette")
EXTRA_PACKAGES = (*HEAVY, "uvicorn", "wasmtime", "componentize_py")

RUN = """
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder

blocked, entry, program, *arguments = sys.argv[1:]

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked.split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Blocked())
sys.argv = [program, *arguments]
module, _, function = entry.partition(":")
sys.exit(getattr(import_module(module), function)())
"""


def run(
    blocked: tuple[str, ...], *command: str, before: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a console script, after `before`, as if the packages were not installed."""
    entry = METADATA["scripts"][command[0]]
    return subprocess.run(
        [sys.executable, "-c", f"{before}\n{RUN}", ",".join(blocked), entry, *command],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        ("pizero-native", "--config", "config/pizero.toml", "--check"),
        ("node-agent-release", "--config", "config/spoke.toml", "--check"),
        ("harvester", "--help"),
        ("harvester", "doctor", "--role", "pizero", "--check"),
        ("harvester", "init", "--help"),
        ("harvester", "bus", "sub", "--help"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_the_base_is_enough_for_the_light_service(command: tuple[str, ...]) -> None:
    done = run(EXTRA_PACKAGES, *command)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_light_service_is_imported_whole_without_any_extra() -> None:
    script = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({EXTRA_PACKAGES!r}))\n"
        "import pizero_native.cli\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True)


@pytest.mark.parametrize(
    ("missing", "command", "extra"),
    [
        ("starlette", ("hub-app", "--check"), "hub"),
        ("amqtt", ("hub-app", "--check"), "hub"),
        ("wasmtime", ("node-agent", "--check"), "agent"),
        ("wasmtime", ("harvester", "plugins", "list"), "agent"),
        ("argon2", ("harvester", "up"), "hub"),
        ("cryptography", ("harvester", "tls", "init"), "hub"),
        ("argon2", ("harvester", "enroll", "pi4"), "hub"),
        ("argon2", ("harvester", "passwd", "ann"), "hub"),
        ("argon2", ("harvester", "broker", "acl"), "hub"),
    ],
)
def test_a_program_without_its_extra_names_it_in_one_line(
    missing: str, command: tuple[str, ...], extra: str
) -> None:
    done = run((missing,), *command)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"the package {missing} is not installed" in line
    assert line.endswith(f"[{extra}]'")


@pytest.mark.parametrize("blocked", ["", "wasmtime"], ids=["installed", "not installed"])
@pytest.mark.parametrize(
    "command",
    [
        ("node-agent", "--check"),
        ("node-agent", "--simulate"),
        ("hub-app", "--check"),
        ("harvester", "plugins", "list"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_32_bit_system_is_refused_in_one_line(blocked: str, command: tuple[str, ...]) -> None:
    done = run((blocked or "nothing",), *command, before="import sys; sys.maxsize = 2**31 - 1")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(command[0])
    assert ": needs a 64-bit operating system for x86-64 or ARM (aarch64); found a 32-bit" in line


def test_the_base_requires_no_package_of_an_extra() -> None:
    base = " ".join(METADATA["dependencies"]).replace("-", "_")
    assert [name for name in EXTRA_PACKAGES if name in base] == []


def test_no_advice_installs_a_name_from_a_public_index() -> None:
    tracked = subprocess.run(
        [
            "git",
            "grep",
            "-nE",
            r"pip install [^|]*harvester-edge",
            "--",
            ":!tests",
            ":!CHANGELOG.md",
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tracked.stdout == ""
