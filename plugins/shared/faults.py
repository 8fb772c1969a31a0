"""Fault log: one line when a fault begins, one when it ends, none in between.

Pure: the time is passed in, and the caller prints the lines.
"""


class FaultLog:
    """Fault of one device. `now_s` is a monotonic clock's, in seconds."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._began_s = 0.0
        self._reason = ""
        self._failures = 0

    def failed(self, reason: str, now_s: float) -> str:
        """Count one failure; return the line to log where a fault begins, else nothing."""
        self._failures += 1
        if self._failures > 1:
            return ""
        self._began_s, self._reason = now_s, reason
        return f"fault: {self._device}: {reason}"

    def worked(self, now_s: float) -> str:
        """Return the line to log where this success ends a fault, else nothing."""
        if not self._failures:
            return ""
        lasted_s, failures = now_s - self._began_s, self._failures
        self._failures = 0
        return (
            f"fault over: {self._device} after {lasted_s:.0f} s and {failures} failed "
            f"{'try' if failures == 1 else 'tries'}: {self._reason}"
        )
