"""Installation advice for error messages.

It names the project's own wheel or folder: a name on a public index could belong to anybody.
"""

PROJECT = "<wheel or folder>"


def install_extra(extra: str, pip: str = "pip") -> str:
    """Return the command that installs the project with one of its extras."""
    return f"{pip} install '{PROJECT}[{extra}]'"
