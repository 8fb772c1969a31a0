"""CPU temperature of a Revolution Pi, where the kernel has no thermal zone of it."""

from bus.errors import HarvesterError
from node_agent.hal import system
from node_agent.hal.real.revpi.pi_control import PiControl

# Whole degC (revpimodio2, device.py, Core.temperature). The driver reads the kernel's zone, which
# has thousandths: therefore that one is asked first.
NAME = "Core_Temperature"


def cpu_temperature_c(pi_control: PiControl) -> float | None:
    """Return the CPU's temperature, None where neither the kernel nor piControl measures it."""
    measured = system.cpu_temperature_c()
    if measured is not None:
        return measured
    try:
        # 0 before the driver's first measurement.
        return float(pi_control.read(pi_control.find(NAME))) or None
    except HarvesterError:
        return None
