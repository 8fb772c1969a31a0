"""The contract `wit/plugin.wit` by the names of its worlds and interfaces. Pure."""

import re

import msgspec


class World(msgspec.Struct, frozen=True):
    """What a plugin of this world may import, and what it exports."""

    imports: list[str]
    exports: list[str]


class Contract(msgspec.Struct, frozen=True):
    """All worlds, and the functions of all interfaces, by name as the contract spells it."""

    worlds: dict[str, World]
    functions: dict[str, list[str]]


def read(wit: str) -> Contract:
    return Contract(
        {
            name: World(_names("import", body), _names("export", body))
            for name, body in blocks("world", wit)
        },
        {
            name: re.findall(r"^\s*([\w-]+): func\(", body, re.MULTILINE)
            for name, body in blocks("interface", wit)
        },
    )


def module_name(name: str) -> str:
    """Return how Python spells an interface or a function: `get-cpu-temp` is `get_cpu_temp`."""
    return name.replace("-", "_")


def class_name(interface: str) -> str:
    """Return the class that exports an interface: SensorLogic for `sensor-logic`."""
    return "".join(part.capitalize() for part in interface.split("-"))


def blocks(kind: str, wit: str) -> list[tuple[str, str]]:
    # The outermost closing brace stands at the start of a line.
    return re.findall(rf"^{kind} ([\w-]+) \{{(.*?)^\}}", wit, re.MULTILINE | re.DOTALL)


def _names(keyword: str, body: str) -> list[str]:
    return re.findall(rf"^\s*{keyword} ([\w-]+);", body, re.MULTILINE)
