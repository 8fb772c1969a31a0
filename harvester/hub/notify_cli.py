"""`harvester notify`: tries the addresses to which alarms are notified."""

import argparse

from bus.errors import MisconfiguredError, UnavailableError
from harvester.hub.options import define_hub_command, hub_config
from hub_app.alarms import addresses, notices


class NotNotifiedError(UnavailableError):
    """An address did not take the notification."""


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's verb."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    about = "send a notification to every address of [notify], and print what came of it"
    test = verbs.add_parser("test", help=about)
    define_hub_command(test, f"{about[0].upper()}{about[1:]}.", _test)


def _test(options: argparse.Namespace) -> None:
    found = addresses.load(hub_config(options).notify)
    if not found:
        raise MisconfiguredError(
            "notify.addresses_file: found nothing, expected a file, mode 0600, with an address of "
            "apprise in each line"
        )
    failed = 0
    for address in found:
        try:
            address.send(notices.trial())
        except UnavailableError as e:
            failed += 1
            print(f"{address.name}: failed: {e}")
        else:
            print(f"{address.name}: sent")
    if failed:
        raise NotNotifiedError(f"{failed} of {len(found)} addresses failed")
