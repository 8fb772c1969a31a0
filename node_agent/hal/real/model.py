"""Model of the machine, by its device tree: what its hardware can do and what it cannot."""

from pathlib import Path

import msgspec

ROOT = Path("/")
# The processor of Raspberry Pi 5, 500 and Compute Module 5, whose pins are on a chip of their own
# (RP1): libraries that write registers of the processor do not reach them.
_BCM2712 = "brcm,bcm2712"
# /proc/cpuinfo, "Revision": bits 12 to 15 are the processor, bit 23 says that they are (Raspberry
# Pi documentation, "New-style revision codes").
_NEW_STYLE = 1 << 23
_PROCESSOR_BCM2712 = 4
_PI_CONTROL = "dev/piControl0"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is empty on a machine without a device tree, which is no Raspberry Pi.

    The pins of a Raspberry Pi 5 are on the chip RP1; the case of a Revolution Pi has none.
    """

    name: str = ""
    has_rp1: bool = False
    is_revpi: bool = False


def read(root: Path = ROOT) -> Model:
    """Return the model of the machine whose files are below `root`."""
    tree = root / "proc/device-tree"
    compatible = _strings(tree / "compatible")
    name = (_strings(tree / "model") or [""])[0]
    return Model(
        name=name,
        has_rp1=_BCM2712 in compatible or _has_bcm2712(root / "proc/cpuinfo"),
        is_revpi=(
            any(word.startswith("kunbus,") for word in compatible)
            or "RevPi" in name
            or (root / _PI_CONTROL).exists()
        ),
    )


def _has_bcm2712(cpuinfo: Path) -> bool:
    lines = _text(cpuinfo).splitlines()
    codes = (line.partition(":")[2].strip() for line in lines if line.startswith("Revision"))
    return any(_processor(code) == _PROCESSOR_BCM2712 for code in codes)


def _processor(code: str) -> int | None:
    try:
        number = int(code, 16)
    except ValueError:
        return None
    return number >> 12 & 0xF if number & _NEW_STYLE else None


def _strings(path: Path) -> list[str]:
    """Return the strings of a property, each of which ends with a zero byte."""
    return [word for word in _text(path).split("\0") if word]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
