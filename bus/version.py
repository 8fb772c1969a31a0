"""The installed version, as status messages and `/health` tell it."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("harvester-edge")
    except PackageNotFoundError:
        return "unknown"


VERSION = _installed()
