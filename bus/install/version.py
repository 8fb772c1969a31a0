"""Version and commit of the installed program."""

from importlib.metadata import PackageNotFoundError, version

from bus.install import assets

UNKNOWN = "unknown"
# Beside the product files of a wheel and in a source distribution; a clone has git.
COMMIT_FILE = "commit"
_GIT_TIMEOUT_S = 5


def _installed() -> str:
    try:
        return version("harvester-edge")
    except PackageNotFoundError:
        return UNKNOWN


VERSION = _installed()


def commit() -> str:
    """Return the commit that a wheel was built from or that a clone is at, or "unknown"."""
    root = assets.root()
    try:
        return (root / COMMIT_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        pass
    # A folder inside somebody else's repository has a commit that is not ours.
    if not (root / ".git").exists():
        return UNKNOWN
    # Only `--version` asks; a Pi Zero's service saves the memory.
    import subprocess  # noqa: PLC0415

    command = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            command, capture_output=True, text=True, check=True, timeout=_GIT_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return done.stdout.strip() or UNKNOWN


def version_and_commit() -> str:
    """Return what `--version` prints."""
    return f"{VERSION} (commit {commit()})"
