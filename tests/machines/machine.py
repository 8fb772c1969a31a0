"""One machine: booted, switched off, cut from power or from the network, and commanded."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.machines import cgroups, commands
from tests.machines.errors import LaboratoryError
from tests.machines.network import BRIDGE, ip

WHEELS = "/mnt/wheels"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# `systemd-nspawn --keep-unit` ends with this code where the machine asks for a reboot.
_REBOOT = 133
_BOOT_S = 180.0
_POLL_S = 0.2
_SUPERVISOR = """
while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift
code={reboot}
while [ $code = {reboot} ]; do "$@" & wait $!; code=$?; done
"""


class Machine:
    """A container with systemd as its init.

    `power_on` returns when systemd is up. The disk outlives `power_cut`, as that of a real machine.
    """

    def __init__(self, lab: str, name: str, address: str, root: Path, wheels: Path) -> None:
        self.name, self.address, self.root = name, address, root
        self._lab, self._wheels = lab, wheels
        self.container = f"{lab}-{name}"
        self._groups: list[Path] = []
        self._supervisor: subprocess.Popen[bytes] | None = None

    # --- power ---

    def power_on(self, *, cable: bool = True) -> None:
        """Boot. Without `cable`, the network interface has no carrier from the start."""
        self._groups = cgroups.make(f"{self._lab}/{self.name}")
        script = _SUPERVISOR.format(reboot=_REBOOT)
        bridge = [f"--network-bridge={BRIDGE}"] if cable else ["--network-veth"]
        words = ["nsenter", f"--net=/run/netns/{self._lab}", *self._nspawn(), *bridge]
        groups = [str(group) for group in self._groups]
        with (self.root.parent / f"{self.name}.console").open("ab") as console:
            self._supervisor = subprocess.Popen(
                ["sh", "-c", script, "sh", *groups, "--", *words],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not cable:
            self.wait_until(lambda: self._has_link(self._cable), "a network interface")
            ip(self._lab, "link", "set", self._cable, "down")
        self.wait_until_up()

    def power_cut(self) -> None:
        """Kill every process of the machine at once."""
        self._signal(signal.SIGKILL)
        self._wait_for_end()

    def power_off(self) -> None:
        """Shut down in order."""
        if self.is_on:
            # systemd(1): SIGRTMIN+4 is `systemctl poweroff`.
            self._signal(signal.SIGRTMIN + 4)
            self._wait_for_end()

    def reboot(self) -> None:
        """Reboot in order, and return when systemd is up again."""
        before = self.boot_id()
        with contextlib.suppress(LaboratoryError):
            self.run("systemctl reboot")
        self.wait_until(lambda: self.boot_id() not in ("", before), "another boot")
        self.wait_until_up()

    @property
    def leader(self) -> int:
        """The process on this computer that is the machine's init. Raises LaboratoryError."""
        leader = cgroups.leader(self._groups)
        if leader is None:
            raise LaboratoryError(f"{self.name}: is off")
        return leader

    @property
    def is_on(self) -> bool:
        return self._supervisor is not None and self._supervisor.poll() is None

    def boot_id(self) -> str:
        """Return what differs after each boot; empty while there is none."""
        leader = cgroups.leader(self._groups)
        if leader is None:
            return ""
        with contextlib.suppress(OSError, IndexError):
            # Field 22 of proc(5): the start of the machine's init in clock ticks.
            return f"{leader} {Path(f'/proc/{leader}/stat').read_text().split()[21]}"
        return ""

    # --- network ---

    def pull_cable(self) -> None:
        ip(self._lab, "link", "set", self._cable, "down")

    def plug_cable(self) -> None:
        ip(self._lab, "link", "set", self._cable, "master", BRIDGE)
        ip(self._lab, "link", "set", self._cable, "up")

    # --- commands ---

    def run(self, command: str, timeout_s: float = 120) -> str:
        """Run a shell command as root and return its output. Raises LaboratoryError."""
        return commands.run(*self._enter(), "sh", "-c", command, timeout_s=timeout_s)

    def attempt(self, command: str, timeout_s: float = 120) -> tuple[int, str]:
        """Run a shell command as root; return its exit code and all that it printed."""
        done = subprocess.run(
            [*self._enter(), "sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return done.returncode, done.stdout

    @contextlib.contextmanager
    def background(self, command: str) -> Iterator[subprocess.Popen[str]]:
        """Run a shell command as root until the context ends."""
        process = subprocess.Popen(
            [*self._enter(), "sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def wait_for(self, command: str, timeout_s: float = _BOOT_S) -> float:
        """Wait until a shell command succeeds; return the seconds that it took."""
        return self.wait_until(lambda: self.attempt(command)[0] == 0, command, timeout_s)

    def wait_until(self, is_so: Callable[[], bool], what: str, timeout_s: float = _BOOT_S) -> float:
        """Wait until `is_so`; return the seconds that it took. Raises LaboratoryError."""
        start_s = time.monotonic()
        while not is_so():
            if time.monotonic() - start_s > timeout_s:
                raise LaboratoryError(f"{self.name}: after {timeout_s:g} s still not: {what}")
            time.sleep(_POLL_S)
        return time.monotonic() - start_s

    def wait_until_up(self) -> None:
        """Wait until systemd has started everything, with or without failures."""
        ready = "systemctl is-system-running | grep -qE 'running|degraded'"
        self.wait_until(
            lambda: cgroups.leader(self._groups) is not None and self.attempt(ready)[0] == 0,
            "systemd is up",
        )

    # --- files ---

    def path(self, absolute: str) -> Path:
        """Return where a file of the machine is on this computer."""
        return self.root / absolute.lstrip("/")

    def write(self, absolute: str, text: str, mode: int = 0o644) -> None:
        self.path(absolute).parent.mkdir(parents=True, exist_ok=True)
        self.path(absolute).write_text(text)
        self.path(absolute).chmod(mode)

    # --- within ---

    @property
    def _cable(self) -> str:
        """The machine's interface on the outside: bridged, or alone after a boot without cable."""
        bridged = f"vb-{self.container}"
        return bridged if self._has_link(bridged) else f"ve-{self.container}"

    def _has_link(self, name: str) -> bool:
        return f" {name}@" in ip(self._lab, "-o", "link", "show")

    def _nspawn(self) -> list[str]:
        return [
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.root}",
            f"--machine={self.container}",
            f"--hostname={self.name}",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            # Whether the clock is set, which the kernel of a real machine tells every program.
            "--system-call-filter=adjtimex clock_adjtime",
            "--console=pipe",
            f"--bind-ro={self._wheels}:{WHEELS}",
        ]

    def _enter(self) -> list[str]:
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")
        environment = (f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", "USER=root")
        return ["nsenter", f"--target={self.leader}", *spaces, "--", "env", "-i", *environment]

    def _signal(self, number: int) -> None:
        leader = cgroups.leader(self._groups)
        if leader is not None:
            os.kill(leader, number)

    def _wait_for_end(self) -> None:
        if self._supervisor is not None:
            self._supervisor.wait(_BOOT_S)
        self.wait_until(lambda: cgroups.leader(self._groups) is None, "off")

    def close(self) -> None:
        """Cut the power and remove the control groups."""
        if self.is_on:
            self.power_cut()
        cgroups.remove(self._groups)
