"""Output of a plugin's polls: readings, problems and log lines."""

import re
from collections.abc import Callable

from bus.contract.description import Fields
from bus.errors import BadDataError
from bus.fault import Fault
from bus.limited_log import LimitedLog
from node_agent.plugins.readings import Sample, samples
from node_agent.plugins.sensor_owners import SensorOwners

# Takes the readings of one poll, and what the component says of their values.
OnSamples = Callable[[list[Sample], Fields], None]
# Of one poll, in the plugin's state.
_MAX_PROBLEMS = 5
# The key of a plugin's lines in its rate-limited log.
_LINES_KEY = "output"
# A line by which a plugin refuses the value of a setting.
_REFUSAL = re.compile(r"setting ([a-z0-9_-]{1,64}): (.+)")
_MAX_REFUSALS = 64


class PollOutput:
    """Passes the readings of a plugin on, and keeps what was wrong with the last poll.

    The plugin's thread writes. The cycle's thread reads `fault` and switches `is_published`: the
    readings of a component on trial, or of a thread that was abandoned, are not passed on.
    """

    def __init__(  # noqa: PLR0913 - all that a poll's output goes to
        self,
        plugin: str,
        on_samples: OnSamples,
        log: LimitedLog,
        *,
        owners: SensorOwners,
        is_published: bool,
        on_refusal: Callable[[str, str], object] = lambda _setting, _reason: None,
    ) -> None:
        """`on_refusal` is told of each setting whose value the plugin refuses, with its reason."""
        self._plugin = plugin
        self._on_samples = on_samples
        self._log = log
        self._owners = owners
        self._on_refusal = on_refusal
        self._refusals: dict[str, str] = {}
        self._problem = Fault(f"plugin {plugin}")
        self._last_line = ""
        # What the component's author says of its values.
        self.described: Fields = {}
        self.is_published = is_published
        # Whether a poll without a reading means that nothing is new.
        self.may_be_empty = False
        self.is_empty = False
        # The plugin's own last words where it returned no reading.
        self.fault = ""
        # What was wrong with the last poll, an err that the plugin returned included.
        self.problem = ""

    def accept(self, polled: object) -> None:
        """Take the value that a poll returned."""
        problems: list[str] = []
        try:
            found = samples(polled, self._plugin, problems.append)
        except BadDataError as e:
            found = []
            problems.append(str(e))
        returned_some = bool(found)
        if self.is_published:
            admission = self._owners.admit(self._plugin, found)
            problems += admission.problems
            self._on_samples(admission.samples, self.described)
        problem = self.problem = "; ".join(problems[:_MAX_PROBLEMS])
        self.is_empty = self.may_be_empty and not (returned_some or problem)
        if problem:
            self._problem.failed(problem)
        elif returned_some or self.may_be_empty:
            self._problem.worked()
        # Where a poll cannot return an err, a plugin that returned nothing has logged the reason
        # itself, once since its last reading.
        has_reason = returned_some or problem or self.may_be_empty
        self.fault = problem if has_reason else self._last_line or "returned no reading"
        if returned_some:
            self._last_line = ""

    def log_line(self, line: str) -> None:
        """Log a line that the plugin printed."""
        self._last_line = line
        self._log.info(_LINES_KEY, "%s", line)
        refusal = _REFUSAL.fullmatch(line)
        if refusal is None or len(self._refusals) >= _MAX_REFUSALS:
            return
        if self.is_published:
            self._on_refusal(*refusal.groups())
        else:
            self._refusals[refusal[1]] = refusal[2]

    def publish(self) -> None:
        """Pass the readings on from now on, and what was refused on trial."""
        self.is_published = True
        for setting, reason in self._refusals.items():
            self._on_refusal(setting, reason)
