"""Device files, rights, kernel modules and libraries of one interface to hardware."""

import stat
from collections.abc import Iterator
from pathlib import Path

from bus.config.settings import Config
from bus.errors import HarvesterError
from bus.install.hint import install_extra
from harvester.doctor.finding import Finding, missing, ok, skipped
from harvester.doctor.machine import Machine, group_name, is_there, user_name
from harvester.doctor.needs import PWM_PINS, Interface, has_strip, uart

# The headphone jack's driver, which uses the same PWM (rpi_ws281x README, "Limitations").
_AUDIO_MODULE = "snd_bcm2835"
_AUDIO_OFF = (
    "sudo sed -i 's/^dtparam=audio=on/dtparam=audio=off/' /boot/firmware/config.txt && sudo reboot"
)
# Raspberry Pi OS boots with the memory controller off (its kernel's bcm2711_defconfig).
_CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers"
_MEMORY_ON = (
    "sudo sed -i '1 s/$/ cgroup_enable=memory cgroup_memory=1/' /boot/firmware/cmdline.txt "
    "&& sudo reboot"
)


def interface_findings(machine: Machine, interface: Interface) -> Iterator[Finding]:
    """Yield a finding a device file, group, module and library."""
    for alternatives in interface.devices:
        yield device(machine, alternatives, interface)
    if interface.group:
        yield group(machine, interface.group)
    for name in interface.modules:
        yield module(machine, name, interface)
    for name in interface.libraries:
        yield library(machine, name)


def blocker(machine: Machine, interface: Interface) -> Finding | None:
    """Return the first thing that is missing of an interface, or None."""
    return next((f for f in interface_findings(machine, interface) if not f.is_well), None)


def device(machine: Machine, alternatives: tuple[str, ...], interface: Interface) -> Finding:
    """Check that one of the files is there and open to this user."""
    there = [path for path in alternatives if is_there(machine.path(path))]
    if not there:
        return missing(f"device {' or '.join(alternatives)}", "no such file", interface.turn_on)
    usable = [path for path in there if machine.may_use(machine.path(path))]
    path = (usable or there)[0]
    status = machine.path(path).stat()
    owner = f"{user_name(status.st_uid)}:{group_name(status.st_gid)}"
    found = f"{owner} {stat.S_IMODE(status.st_mode):04o}"
    if usable:
        return ok(f"device {path}", f"{found}, open to {machine.user}")
    mend = interface.open_up or _join(machine, interface.group or group_name(status.st_gid))
    return missing(f"device {path}", f"{found}, closed to {machine.user}", mend)


def group(machine: Machine, name: str) -> Finding:
    """Check that this process is in the group that owns the device files after the next boot."""
    what = f"group {name}"
    if machine.is_root:
        return ok(what, "root needs none")
    if name in machine.groups:
        return ok(what, f"{machine.user} is in it")
    members = _members(machine)
    if name not in members:
        mend = f"sudo groupadd --system {name} && {_join(machine, name)}"
        return missing(what, "there is no such group", mend)
    if machine.user in members[name]:
        return missing(what, f"{machine.user} joined after this session began", "log in again")
    return missing(what, f"{machine.user} is not in it", _join(machine, name))


def module(machine: Machine, name: str, interface: Interface) -> Finding:
    """Check that the kernel module is loaded or built in."""
    what = f"module {name}"
    if is_loaded(machine, name):
        return ok(what, "loaded")
    # A module built into the kernel is not listed, but its device files are there.
    if any(is_there(machine.path(path)) for files in interface.devices for path in files):
        return ok(what, "built into the kernel")
    return missing(what, "not loaded", f"sudo modprobe {name.replace('_', '-')}")


def is_loaded(machine: Machine, name: str) -> bool:
    listed = text(machine.path("/proc/modules")).splitlines()
    loaded = is_there(machine.path(f"/sys/module/{name}"))
    return loaded or any(line.split()[:1] == [name] for line in listed)


def library(machine: Machine, name: str) -> Finding:
    """Check that the driver library can be imported on this machine."""
    what = f"library {name}"
    try:
        machine.load(name)
    except HarvesterError as e:
        if isinstance(e.__cause__, ImportError):
            if name == "gpiod" and _has_rpi_gpio(machine):
                return ok(what, "not installed; RPi.GPIO stands in, which may count no edges")
            pip = f"{machine.sudo}{machine.programs / 'pip'}"
            return missing(what, "not installed", install_extra("pi", pip))
        return missing(what, str(e), "run this on a Raspberry Pi")
    except OSError as e:
        return missing(what, f"does not start: {e}", "mend the device files above")
    return ok(what, "can be imported")


def _has_rpi_gpio(machine: Machine) -> bool:
    try:
        machine.load("RPi.GPIO")
    except (HarvesterError, OSError):
        return False
    return True


def memory_limit(machine: Machine) -> Finding:
    """Check that the kernel counts memory by control group, without which it ignores MemoryMax."""
    what = "memory limit"
    controllers = machine.path(_CONTROLLERS)
    if not is_there(controllers):
        return skipped(what, f"no {_CONTROLLERS} on this machine")
    if "memory" in text(controllers).split():
        return ok(what, "the kernel keeps the MemoryMax of the units")
    return missing(what, "the kernel ignores the MemoryMax of the units", _MEMORY_ON)


def special_findings(
    machine: Machine, config: Config, wanted: list[Interface]
) -> Iterator[Finding]:
    """Yield faults that occur although every device file is there."""
    if uart(config) in wanted and _is_console(machine, config.hardware.uart_device):
        yield missing(
            f"uart {config.hardware.uart_device}",
            "a login prompt is on it",
            "sudo raspi-config nonint do_serial_cons 1 && sudo reboot",
        )
    if has_strip(config, PWM_PINS) and is_loaded(machine, _AUDIO_MODULE):
        yield missing(
            f"strip gpio{config.leds.pin}", "the headphone jack uses the same PWM", _AUDIO_OFF
        )


def _is_console(machine: Machine, path: str) -> bool:
    """Whether the kernel was told to put its console on the port, under any of its names."""
    names = {Path(path).name, machine.path(path).resolve().name}
    words = text(machine.path("/proc/cmdline")).split()
    consoles = (word.removeprefix("console=") for word in words if word.startswith("console="))
    return any(console.partition(",")[0] in names for console in consoles)


def _join(machine: Machine, group_: str) -> str:
    return f"sudo usermod -aG {group_} {machine.user}"


def _members(machine: Machine) -> dict[str, list[str]]:
    """Return the members by group, as group(5) has them."""
    lines = (line.split(":") for line in text(machine.path("/etc/group")).splitlines())
    return {fields[0]: fields[3].split(",") for fields in lines if len(fields) == 4}


def text(path: Path) -> str:
    """Return what the file holds; nothing where this machine has none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
