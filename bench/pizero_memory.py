"""Memory of a Pi Zero's two ways to run: the light service, and the whole plugin host.

Prints resident (RSS), proportional (PSS) and peak memory in MB of `pizero-native` with
`cluster.service` "native" and "plugin-host" (bme680 and pizero-monitor), the latter inside a memory
control group of 150 MB where this machine lets us make one, and the ratio of the two.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.agent_memory import memory_mb
from tests.support import HOST, PROJECT, WAIT_S, Listener, embedded_broker, free_port, settings

LIMIT_MB = 150
SENSORS = ("bme680-0x76", "pizero-monitor")
CYCLES = 10
COMPILE_S = 180.0
# The second version of control groups, then the first: the folder and its key for the limit.
GROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
)


@contextmanager
def memory_group() -> Iterator[Path | None]:
    """Yield a control group that holds its processes to the limit, or None where none can be."""
    for root, key in GROUPS:
        # The root group has no limit of its own; a group that is made in it does.
        if not (root / "cgroup.procs").exists():
            continue
        group = root / f"harvester-bench-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if not (group / key).exists():
            group.rmdir()
            continue
        (group / key).write_text(str(LIMIT_MB << 20))
        try:
            yield group
        finally:
            group.rmdir()
        return
    yield None


@contextmanager
def running(service: str, port: int, directory: Path, group: Path | None) -> Iterator[int]:
    """Run the Pi Zero's program inside `group`; yield its process id."""
    command = [
        *(sys.executable, "-m", "pizero_native.cli", "--simulate"),
        *("--config", str(PROJECT / "config" / "pizero.toml")),
        *settings(
            cluster__service=service,
            broker__url=f"mqtt://{HOST}:{port}",
            web__listen=HOST,
            web__port=free_port(),
            pings__hosts=f'{{here = "{HOST}"}}',
            storage__cache_dir=PROJECT / ".harvester" / "cache",
            storage__state_dir=directory,
        ),
    ]
    # A shell that joins the group before it becomes the program: nothing runs outside the limit.
    join = f"echo $$ > {group}/cgroup.procs && " if group is not None else ""
    shell = ["sh", "-c", f'{join}exec "$@"', "sh", *command]
    with (directory / "log").open("w") as log, subprocess.Popen(shell, stderr=log) as process:
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(WAIT_S)


def measure(service: str, group: Path | None) -> dict[str, float]:
    port = free_port()
    with tempfile.TemporaryDirectory() as name, embedded_broker(port), Listener(port) as ears:
        directory = Path(name)
        # The first run fills the cache of compiled components where it is cold.
        with running(service, port, directory, None):
            for sensor in SENSORS:
                ears.wait_topic(f"harvester/pizero/readings/{sensor}", COMPILE_S)
        heard = len(ears.said)
        with running(service, port, directory, group) as pid:
            for sensor in SENSORS:
                ears.wait_topic(f"harvester/pizero/readings/{sensor}", after=heard)
            for _ in range(CYCLES):
                ears.wait_topic("harvester/pizero/heartbeat", after=len(ears.said))
            return {**memory_mb(pid), "Peak": peak_mb(pid)}


def peak_mb(pid: int) -> float:
    """Return the most memory that the process ever had resident, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmHWM"].split()[0]) / 1024


def main() -> None:
    with memory_group() as group:
        host = measure("plugin-host", group)
        print(
            f"plugin host: held to {LIMIT_MB} MB by a control group"
            if group is not None
            else "plugin host: no control group could be made here; see its peak"
        )
    native = measure("native", None)
    print(f"{'':<34}{'plugins':>8}{'native':>8}{'ratio':>8}")
    for label, key in (
        ("resident memory (RSS), MB", "Rss"),
        ("proportional memory (PSS), MB", "Pss"),
        ("peak resident, MB", "Peak"),
    ):
        print(f"{label:<34}{host[key]:>8.1f}{native[key]:>8.1f}{host[key] / native[key]:>8.2f}")


if __name__ == "__main__":
    main()
