"""Cached decisions of the gate: the topics to which one session may publish."""

from broker.auth.gate import Gate, Identity

# Topics of a session, and the length of each, that are remembered.
_MAX_TOPICS = 256
_MAX_CHARS = 256


class PublishDecisions:
    """Answers of `gate.may_publish` for one identity, until the gate's generation changes."""

    def __init__(self, gate: Gate, identity: Identity) -> None:
        self._gate = gate
        self._identity = identity
        self._generation = gate.generation
        self._answers: dict[str, bool] = {}

    def may_publish(self, topic: str) -> bool:
        generation = self._gate.generation
        if generation != self._generation:
            self._answers.clear()
            self._generation = generation
        answer = self._answers.get(topic)
        return self._ask(topic) if answer is None else answer

    def _ask(self, topic: str) -> bool:
        answer = self._gate.may_publish(self._identity, topic)
        if len(topic) <= _MAX_CHARS:
            if len(self._answers) >= _MAX_TOPICS:
                self._answers.clear()
            self._answers[topic] = answer
        return answer
