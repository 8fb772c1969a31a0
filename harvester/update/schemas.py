"""Versions of the tables of every database that this version of HARVESTER writes."""

import importlib

from bus.client.node import OUTBOX_FILE
from bus.files.database import Schema

# File name and the module of its schema. A node lacks the libraries of some of the hub's.
_MODULES = {
    OUTBOX_FILE: "bus.outbox.file",
    "broker.sqlite3": "broker.embedded.store.file",
    "history.db": "hub_app.history.schema",
    "logs.db": "hub_app.history.logs.log_file",
}


def versions() -> dict[str, int]:
    """Return the version of the tables by file name."""
    found: dict[str, int] = {}
    for name, module in _MODULES.items():
        try:
            schema: Schema = importlib.import_module(module).SCHEMA
        except ModuleNotFoundError:
            continue
        found[name] = schema.version
    return found
