"""`harvester history`: exports what the hub has stored, while it runs."""

import argparse
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from bus import clock
from bus.config import hub_files
from bus.errors import MisconfiguredError
from bus.install.hint import install_extra
from harvester.hub.history.sqlite_file import write_sqlite
from harvester.hub.options import define_hub_command, hub_config
from hub_app.history.query import known_names
from hub_app.history.query.export import ExportQuery, sensors_of
from hub_app.history.query.lookup import SensorFields, UnknownSensorError
from hub_app.history.schema import open_for_reading
from hub_app.http.formats.export_formats import FORMATS, export_chunks
from hub_app.http.formats.export_rows import ExportWriter, SensorWords
from hub_app.http.formats.query_params import moment_ms
from hub_app.nodes import workers

_SQLITE = "sqlite"
_STANDARD_OUTPUT = "-"


def define(parser: argparse.ArgumentParser) -> None:
    """Add the commands below `history`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    export = commands.add_parser(
        "export", help="write values of a range of time as CSV, Parquet, SQLite and others"
    )
    about = (
        "Write every stored value of a range: single readings where they are kept, else means of 5 "
        "minutes. Texts are left out."
    )
    define_hub_command(export, about, _export)
    export.add_argument("file", metavar="FILE", help="the file to write; - is standard output")
    export.add_argument("--format", choices=(*FORMATS, _SQLITE), default="csv")
    export.add_argument(
        "--from", dest="from_ms", type=_moment, default=0, metavar="TIME", help=_moment.__doc__
    )
    export.add_argument("--to", dest="to_ms", type=_moment, default=None, metavar="TIME")
    export.add_argument(
        "--sensor", action="append", default=[], metavar="NODE:SENSOR", help="default: all sensors"
    )
    export.add_argument("--field", action="append", default=[], help="default: all fields")


def _export(options: argparse.Namespace) -> None:
    config = hub_config(options)
    files = hub_files.of(config, os.environ)
    workers.check_named(config, files)
    path = files.state_dir / known_names.FILE_NAME
    to_ms = clock.now_ms() if options.to_ms is None else options.to_ms
    if options.from_ms >= to_ms:
        raise MisconfiguredError("--from: found a time that is not before that of --to")
    query = ExportQuery(tuple(options.sensor), tuple(options.field), options.from_ms, to_ms)
    try:
        with closing(open_for_reading(path)) as db:
            sensors = sensors_of(db, query)
        if options.format == _SQLITE:
            write_sqlite(_new_file(options.file), path, query, sensors)
        else:
            writer = _writer(options.format)
            _write(options.file, export_chunks(path, query, sensors, writer, _words(sensors)))
    except UnknownSensorError as e:
        raise MisconfiguredError(str(e)) from e
    except sqlite3.Error as e:
        raise MisconfiguredError(f"{path}: {e}; expected the history of a hub") from e


def _words(sensors: dict[str, SensorFields]) -> dict[str, SensorWords]:
    """Return no areas and units: nodes tell them to a hub that runs."""
    return {name: SensorWords("", dict.fromkeys(each.fields, "")) for name, each in sensors.items()}


def _writer(name: str) -> ExportWriter:
    try:
        return FORMATS[name].writer()
    except ModuleNotFoundError as e:
        raise MisconfiguredError(
            f"--format: {name} needs the package {e.name}; run: {install_extra(name)}"
        ) from e


def _write(name: str, chunks: Iterator[bytes]) -> None:
    with ExitStack() as stack:
        try:
            out = (
                sys.stdout.buffer
                if name == _STANDARD_OUTPUT
                else stack.enter_context(Path(name).open("wb"))
            )
            for chunk in chunks:
                out.write(chunk)
            out.flush()
        except OSError as e:
            raise MisconfiguredError(f"{name}: {e.strerror}; expected a writable file") from e


def _new_file(name: str) -> Path:
    path = Path(name)
    if name == _STANDARD_OUTPUT or path.exists():
        raise MisconfiguredError(f"{name}: expected the name of a new file for --format sqlite")
    return path


def _moment(text: str) -> int:
    """ISO 8601, in UTC where no offset is given, or Unix milliseconds"""  # noqa: D400 - a help text
    found = moment_ms(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"found {text[:40]!r}, expected 2026-11-22T18:45:21Z or Unix milliseconds"
        )
    return found
