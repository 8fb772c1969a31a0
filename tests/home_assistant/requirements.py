"""Prints what the installed Home Assistant needs for MQTT and its HTTP API.

A program of its own, for the interpreter of Home Assistant: it imports nothing of this project.
"""

import json
import re
from importlib.metadata import requires
from pathlib import Path

import homeassistant  # type: ignore[import-not-found]

_COMPONENTS = ("mqtt", "http", "file_upload")
# For hardware, voice, pictures and the cloud.
_LEFT_OUT = frozenset(
    {
        *("bluetooth-data-tools", "boto3", "ha-ffmpeg", "hass-nabucasa", "hassil"),
        *("home-assistant-bluetooth", "home-assistant-intents", "mutagen", "numpy"),
        *("pymicro-vad", "pyspeex-noise", "pyturbojpeg", "uv", "zeroconf"),
    }
)


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9_.-]+", requirement)
    return found[0].lower().replace("_", "-") if found else ""


def main() -> None:
    found = [line.split(";")[0] for line in requires("homeassistant") or ()]
    for component in _COMPONENTS:
        folder = Path(homeassistant.__file__).parent / "components" / component
        found += json.loads((folder / "manifest.json").read_text()).get("requirements", [])
    for line in dict.fromkeys(found):
        if _name(line) not in _LEFT_OUT:
            print(re.sub(r"[ ()]", "", line))  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
