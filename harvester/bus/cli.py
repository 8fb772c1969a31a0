"""`harvester bus`: its verbs, and their end by Ctrl-C or a closed pipe."""

import argparse
import os
import sys
from collections.abc import Callable

from harvester.bus import clean, publish, subscribe
from harvester.hub.options import Run

# 128 and the number of the signal, as a shell says it.
_EXIT_INTERRUPTED = 130
_VERBS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "sub": ("print messages, with names and units", subscribe.define),
    "pub": ("publish a message", publish.define),
    "clean": ("remove retained topics", clean.define),
}


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (about, define_verb) in _VERBS.items():
        verb = verbs.add_parser(name, help=about)
        define_verb(verb)
        verb.set_defaults(run=_ending(verb.get_default("run"), name))


def _ending(run: Run, verb: str) -> Run:
    """Return `run`, which ends quietly by Ctrl-C and where nobody reads the output."""

    def run_to_its_end(options: argparse.Namespace) -> None:
        try:
            run(options)
            sys.stdout.flush()
        except KeyboardInterrupt:
            # A subscription without an end of its own is meant to be ended so.
            sys.exit(0 if verb == "sub" else _EXIT_INTERRUPTED)
        except BrokenPipeError:
            # Python would flush the output once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return run_to_its_end
