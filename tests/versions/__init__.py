"""Versions side by side: nodes of the version before at a hub of this one, and the reverse.

`make test-versions` runs the checks here (`check_*.py`), which need the history of the repository.
"""
