"""Commands of this computer, with their output in the error."""

import subprocess
from collections.abc import Mapping

from tests.machines.errors import LaboratoryError


def run(*words: str, timeout_s: float = 120, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return its standard output. Raises LaboratoryError where it fails."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False
        )
    except subprocess.TimeoutExpired as e:
        raise LaboratoryError(f"{' '.join(words)}: not over after {timeout_s:g} s") from e
    if done.returncode != 0:
        raise LaboratoryError(
            f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout
