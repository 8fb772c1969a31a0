"""Other versions of the product: the wheel of `make wheel` with a version and lines of its own."""

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.machines import cache
from tests.machines.errors import LaboratoryError

# Whose agent ends as soon as it starts; --check still passes.
CRASHING = {
    "node_agent/agent.py": (
        "        interval_s = self._config.polling.interval_seconds\n        for sentence",
        '        raise RuntimeError("made to crash")\n        for sentence',
    )
}
# That runs, and sends no reading.
MUTE = {
    "bus/outbox/sender.py": (
        "        self._send_live()\n        self._send_backlog(time.monotonic())\n",
        "        return\n",
    )
}

# File within the wheel, and what to replace in it.
Changes = Mapping[str, tuple[str, str]]


def make(version: str, folder: Path, changes: Changes | None = None) -> Path:
    """Write the wheel of a version into `folder` and return its path."""
    source = cache.newest_wheel()
    name, before, *_ = source.name.split("-")
    target = folder / source.name.replace(f"-{before}-", f"-{version}-", 1)
    info, new_info = (f"{name}-{each}.dist-info/" for each in (before, version))
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        rows = []
        for entry in old.infolist():
            path = entry.filename.replace(info, new_info, 1)
            if path == f"{new_info}RECORD":
                continue
            data = _changed(entry.filename, old.read(entry), changes or {})
            if path == f"{new_info}METADATA":
                data = data.replace(
                    f"Version: {before}".encode(), f"Version: {version}".encode(), 1
                )
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append((path, f"sha256={digest}", len(data)))
            new.writestr(path, data)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([*rows, (f"{new_info}RECORD", "", "")])
        new.writestr(f"{new_info}RECORD", text.getvalue())
    return target


def _changed(path: str, data: bytes, changes: Changes) -> bytes:
    if path not in changes:
        return data
    old, new = (text.encode() for text in changes[path])
    if old not in data:
        raise LaboratoryError(f"{path}: found no lines to replace; expected {old[:60]!r}...")
    return data.replace(old, new, 1)
