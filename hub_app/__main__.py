"""The console script `hub-app`: checks for the packages of its extra first."""

from bus.install import extras


def main() -> None:
    extras.run("hub_app.cli", "hub-app", "hub")


if __name__ == "__main__":
    main()
