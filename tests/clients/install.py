"""Installs the clients of other people below .harvester/clients: `make test-clients`."""

import shutil
import subprocess
import sys

from tests.support import PROJECT

FOLDER = PROJECT / ".harvester" / "clients"
PYTHON = FOLDER / "python"
MODULES = FOLDER / "node_modules"
OF_NODE = ("mqtt@5", "node-red@4")
OF_PYTHON = ("aiomqtt>=2.5,<3", "gmqtt>=0.7,<1")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm: not found; install Node.js 20 or later with npm")
    if not (MODULES / "node-red").exists():
        subprocess.run(
            [npm, "install", "--no-fund", "--no-audit", *OF_NODE], check=True, cwd=FOLDER
        )
    if not (PYTHON / "gmqtt").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(PYTHON)]
        subprocess.run([*pip, *OF_PYTHON], check=True)


if __name__ == "__main__":
    main()
