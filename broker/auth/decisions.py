"""Cached decisions of the gate: the topics that one client may publish to, or receive."""

from collections.abc import Callable

from broker.auth.gate import Gate

# Topics that are remembered, and the length of each.
_MAX_TOPICS = 256
_MAX_CHARS = 256


class TopicDecisions:
    """Answers of `ask` by topic, until the gate's generation changes."""

    __slots__ = ("_answers", "_ask", "_gate", "_generation", "_max_topics")

    def __init__(
        self, gate: Gate, ask: Callable[[str], bool], *, max_topics: int = _MAX_TOPICS
    ) -> None:
        self._gate = gate
        self._ask = ask
        self._max_topics = max_topics
        self._generation = gate.generation
        self._answers: dict[str, bool] = {}

    def allows(self, topic: str) -> bool:
        """Return the answer for a topic."""
        generation = self._gate.generation
        if generation != self._generation:
            self._answers.clear()
            self._generation = generation
        answer = self._answers.get(topic)
        return self._decide(topic) if answer is None else answer

    def _decide(self, topic: str) -> bool:
        answer = self._ask(topic)
        if len(topic) <= _MAX_CHARS:
            if len(self._answers) >= self._max_topics:
                self._answers.clear()
            self._answers[topic] = answer
        return answer
