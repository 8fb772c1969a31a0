"""`pizero-native` with the clock of `tests.triggered.clock`."""

import sys

from pizero_native import cli
from tests.triggered import clock


def main() -> int | None:
    clock.install()
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
