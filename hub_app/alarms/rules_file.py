"""Rules file: rules of alarms that were made on the page."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bus.config.alarms_table import MAX_RULES, AlarmConfig, check_rules
from bus.errors import MisconfiguredError
from bus.files import private_file

FILE_NAME = "alarm-rules.json"


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rules: list[AlarmConfig] = []


def load(path: Path) -> list[AlarmConfig]:
    """Return the rules in the file; none where it is missing.

    Raises MisconfiguredError where it is open to others, cannot be read or holds something else.
    """
    try:
        rules = msgspec.json.decode(private_file.read(path), type=_Content).rules
        check_rules(rules)
    except FileNotFoundError:
        return []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise MisconfiguredError(f"{path}: found no rules: {e}; restore or remove it") from e
    except MisconfiguredError as e:
        raise MisconfiguredError(f"{path}: {e}") from e
    return rules


def save(path: Path, rules: Sequence[AlarmConfig]) -> None:
    """Replace the file. Raises MisconfiguredError where it cannot be written."""
    content = msgspec.to_builtins(_Content(list(rules)))
    said = [{k: v for k, v in rule.items() if v is not None} for rule in content["rules"]]
    private_file.write(path, msgspec.json.format(msgspec.json.encode({"rules": said})))


def with_rule(rules: Sequence[AlarmConfig], rule: AlarmConfig) -> list[AlarmConfig]:
    """Return the rules with one more, in place of the one of its name.

    Raises MisconfiguredError where there are too many.
    """
    kept = [one for one in rules if one.name != rule.name]
    if len(kept) >= MAX_RULES:
        raise MisconfiguredError(f"found {len(kept)} rules already, expected at most {MAX_RULES}")
    return [*kept, rule]
