"""Sentences of alarms. Pure."""

import datetime as dt

from bus.contract.bounds import MAX_TEXT_CHARS
from bus.contract.description import FieldDescription
from hub_app.alarms.rules import Rule


def one_line(text: str) -> str:
    """Return a text that a message may carry: one line, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MAX_TEXT_CHARS else f"{line[: MAX_TEXT_CHARS - 1]}\u2026"


def of_rule(rule: Rule, title: str, text: str) -> str:
    """Return the rule's own words of `title`, or `text` where it has none."""
    return one_line(f"{title}: {rule.text or text}")


def limit_exceeded(rule: Rule, field: str, limit: float, described: FieldDescription | None) -> str:
    label = (described.label if described else "") or field
    side = "below" if rule.below is not None else "above"
    return f"{label} is {side} {number(limit, described)}"


def number(value: float, described: FieldDescription | None = None) -> str:
    """Return a number with its unit, and with as many decimals as its description says."""
    if described is None:
        return f"{value:.6g}"
    text = f"{value:.6g}" if described.decimals is None else f"{value:.{described.decimals}f}"
    if described.words and 0 <= value < len(described.words) and value == int(value):
        return described.words[int(value)]
    return f"{text} {described.unit}".strip()


def certificate_ends(days: float, now_ms: int) -> str:
    return f"the certificate {_ends_on(days, now_ms)}; see `harvester tls renew`"


def ca_ends(days: float, now_ms: int) -> str:
    return f"the CA {_ends_on(days, now_ms)}; every node needs the next one before that"


def _ends_on(days: float, now_ms: int) -> str:
    end = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC) + dt.timedelta(days=days)
    return f"ends on {end:%Y-%m-%d}"


def old_backup(fault: str) -> str:
    """Return the words of an old backup, with a place for the limit."""
    words = "the last nightly backup is older than {limit:g} h"
    # A brace in a path is no place for a number.
    reason = fault.replace("{", "{{").replace("}", "}}")
    return f"{words}: {reason}" if reason else f"{words}; see `systemctl status harvester-backup`"
