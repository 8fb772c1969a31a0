"""Extras of an installed program, by what is installed beside it."""

from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

from harvester.update import extras

METADATA = """Metadata-Version: 2.1
Name: harvester-edge
Version: 0.1.0
Requires-Dist: msgspec>=0.20
Requires-Dist: harvester-edge[agent]; extra == "hub"
Requires-Dist: starlette<2,>=1.0; extra == "hub"
Requires-Dist: wasmtime<51,>=50; extra == "agent"
Requires-Dist: not-there>=1; extra == "notify"
Requires-Dist: msgspec>=0.20; extra == "notify"
Requires-Dist: not-there; (sys_platform == "linux" and os_name == "x") and extra == "pi"
Requires-Dist: uvicorn>=0.5; extra == "pi"
Requires-Dist: not-there; platform_machine == "armv7l" and extra == "rpi-gpio"
"""


def program(folder: Path) -> Distribution:
    info = folder / "harvester_edge-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    return PathDistribution(info)


def test_extras_are_those_whose_libraries_are_there(tmp_path: Path) -> None:
    assert extras.installed(program(tmp_path)) == ["agent", "hub", "pi"]
