"""Process supervisor of the whole system on one machine, with simulated hardware.

It runs hub, two agents and the Pi Zero service: the programs of real nodes, with their
configurations and the addresses of this machine. A program that dies is started again, as systemd
would do.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType

import msgspec

from broker.auth import enrolment
from bus.config.broker_table import CREDENTIALS_NAME
from bus.config.command_line import EXIT_MISCONFIGURED
from bus.config.hub_files import ACCOUNTS_NAME
from bus.errors import UnavailableError
from bus.service_manager import stop_signals
from harvester.plugins.project import config_file

HOST = "127.0.0.1"
# Below the project's folder.
STATE = ".harvester"
_RESTART_S = 2.0
_READY_S = 30.0
_STOP_S = 8.0


class Options(msgspec.Struct, frozen=True):
    """Options of a run. `state` is the folder for history, logins and plugin state.

    Compiled components are kept in the project's folder. With `broker_url` the hub's own broker
    does not start. `scenario`, `spoke` and `hub` are keys of configurations: of the simulated
    nodes, of the Pi 4 alone, and of the hub.
    """

    project: Path
    state: Path
    web_port: int
    mqtt_port: int
    zero_port: int
    scenario: list[str] = []
    spoke: list[str] = []
    hub: list[str] = []
    plugins: Path | None = None
    broker_url: str = ""


class Program(msgspec.Struct, frozen=True):
    """A process: its name on the screen, and its command."""

    name: str
    command: list[str]


def programs(options: Options) -> tuple[Program, ...]:
    """Return the programs to run, the hub first."""
    config = partial(config_file, options.project)
    here = options.broker_url or f"mqtt://{HOST}:{options.mqtt_port}"
    cache = options.project / STATE / "cache"
    hub = (
        f"broker.listen={HOST}",
        f"broker.port={options.mqtt_port}",
        f"web.listen={HOST}",
        f"web.port={options.web_port}",
        "web.tls=false",
        *_storage(options, cache, "revpi"),
        *([f"broker.url={here}"] if options.broker_url else []),
        *_plugins(options, "hub"),
        *options.hub,
    )
    spoke = (
        f"broker.url={here}",
        *_storage(options, cache, "pi4"),
        f"broker.credentials_file={_credentials(options, 'pi4')}",
        *_plugins(options, "spoke"),
        *options.spoke,
        *options.scenario,
    )
    zero = (
        f"broker.url={here}",
        f"web.listen={HOST}",
        f"web.port={options.zero_port}",
        *_storage(options, cache, "pizero"),
        f"broker.credentials_file={_credentials(options, 'pizero')}",
        f'pings.hosts={{revpi = "{HOST}", pi4 = "{HOST}"}}',
        *_plugins(options, "pizero"),
        *options.scenario,
    )
    return (
        _program("hub", "hub-app", config("hub"), hub),
        _program("revpi", "node-agent", config("hub"), hub, "--role", "hub", "--simulate"),
        _program("pi4", "node-agent", config("spoke"), spoke, "--role", "spoke", "--simulate"),
        _program("pizero", "pizero-native", config("pizero"), zero, "--simulate"),
    )


def _storage(options: Options, cache: Path, node: str) -> tuple[str, ...]:
    folder = options.state / node
    # Several systems may run side by side, so none of them uses the user's own folders.
    return (
        f"storage.cache_dir={cache}",
        f"storage.state_dir={folder}",
        f"storage.runtime_dir={folder / 'run'}",
    )


def _plugins(options: Options, role: str) -> list[str]:
    """Return the keys about plugins: what was just packed runs, not a component of former days.

    The folder is the project's, where no configuration of its own names one.
    """
    form = 'plugins.form="bundle"'
    if options.plugins is not None:
        return [form, f"plugins.directory={options.plugins}"]
    own = options.project / "plugins"
    has_config = config_file(options.project, role).is_relative_to(options.project)
    return [form, f"plugins.directory={own}"] if own.is_dir() and not has_config else [form]


def _credentials(options: Options, node: str) -> Path:
    return options.state / node / CREDENTIALS_NAME


def _enroll(options: Options) -> None:
    """Create the logins of the two spokes; hub-app creates those of its own machine."""
    accounts_file = options.state / "revpi" / ACCOUNTS_NAME
    for node in ("pi4", "pizero"):
        enrolment.ensure(accounts_file, node, _credentials(options, node))


def _program(name: str, script: str, config: Path, keys: Sequence[str], *more: str) -> Program:
    overrides = [part for key in keys for part in ("--set", key)]
    # The installer puts console scripts beside the interpreter.
    executable = str(Path(sys.executable).parent / script)
    return Program(name, [executable, "--config", str(config), *more, *overrides])


def up(options: Options) -> int:
    """Run until Ctrl-C, SIGTERM or SIGHUP; return the exit code.

    Raises MisconfiguredError where the nodes' credentials cannot be written.
    """
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in stop_signals():
        signal.signal(number, stop)
    _enroll(options)
    hub, *others = (Supervised(program) for program in programs(options))
    try:
        hub.start()
        _wait_until_ready(options, hub, stopping)
        for supervised in others:
            supervised.start()
        _greet(options)
        while not stopping.wait(0.2):
            for supervised in (hub, *others):
                supervised.keep_alive()
    except UnavailableError as e:
        if not stopping.is_set():
            print(e, file=sys.stderr)
            return EXIT_MISCONFIGURED
    finally:
        # The hub stops last, so that it receives the others' offline status.
        _stop(others)
        _stop([hub])
    print("stopped")
    return 0


class Supervised:
    """A running program; its output is printed here behind its name."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._process: subprocess.Popen[str] | None = None
        self._died_s: float | None = None

    def start(self) -> None:
        self._died_s = None
        # A session of its own: Ctrl-C reaches only this process, which stops the others in order.
        self._process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
            self._program.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        threading.Thread(target=self._copy_output, args=(self._process,), daemon=True).start()

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process is not None else None

    def keep_alive(self) -> None:
        """Restart it some time after it died. Raises UnavailableError where it is misconfigured."""
        code = self.exit_code()
        if code is None:
            return
        if code == EXIT_MISCONFIGURED:
            raise UnavailableError(f"{self._program.name} is misconfigured; its last line says why")
        now_s = time.monotonic()
        if self._died_s is None:
            self._died_s = now_s
            print(f"{self._program.name} exited with {code}; restarting it", flush=True)
        elif now_s - self._died_s > _RESTART_S:
            self.start()

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait_stopped(self, timeout_s: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            print(f"{self._program.name} does not stop; killed", file=sys.stderr)
            self._process.kill()
            self._process.wait()

    def _copy_output(self, process: "subprocess.Popen[str]") -> None:
        for line in process.stdout or ():
            print(f"{self._program.name:>6} | {line}", end="", flush=True)


def _stop(running: Sequence[Supervised]) -> None:
    deadline_s = time.monotonic() + _STOP_S
    for supervised in running:
        supervised.ask_to_stop()
    for supervised in running:
        supervised.wait_stopped(max(0.1, deadline_s - time.monotonic()))


def _wait_until_ready(options: Options, hub: Supervised, stopping: threading.Event) -> None:
    health = f"http://{HOST}:{options.web_port}/health"
    deadline_s = time.monotonic() + _READY_S
    while time.monotonic() < deadline_s and not stopping.is_set():
        if hub.exit_code() is not None:
            raise UnavailableError("the hub did not start; its last line says why")
        try:
            urllib.request.urlopen(health, timeout=1).close()
        except OSError:
            stopping.wait(0.1)
        else:
            return
    raise UnavailableError(f"{health} does not answer after {_READY_S:.0f} s")


def _greet(options: Options) -> None:
    port = "" if options.mqtt_port == 1883 else f" -p {options.mqtt_port}"
    print(
        f"\n  The page:    http://{HOST}:{options.web_port}/\n"
        f"  Listen:      mosquitto_sub{port} -t 'harvester/#' -v\n"
        f"  Make a beep: mosquitto_pub{port} -t harvester/pi4/buzzer/cmd -m beep3\n"
        "  Stop:        Ctrl-C\n",
        flush=True,
    )
