"""The console script `node-agent`: checks for the packages of its extra first."""

from bus.install import extras


def main() -> None:
    extras.run("node_agent.cli", "node-agent", "agent")


if __name__ == "__main__":
    main()
