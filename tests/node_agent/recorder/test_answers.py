"""Answers to a guest from recorded steps: bounded in number and in bytes."""

from node_agent.recorder import answers
from node_agent.recorder.answers import Answers
from node_agent.recorder.events import Call


def state(value: str, answer: str = "") -> Call:
    return Call("plugin-state", "get", [value], answer)


def ask(asked: Answers, value: str) -> object:
    functions = asked.imports({"plugin-state": {"get": None}})
    return functions["plugin-state"]["get"](value)


def test_the_newest_answer_counts_also_when_no_more_calls_are_remembered() -> None:
    asked = Answers()
    asked.remember([state(f"{n}", "old") for n in range(answers.MAX_REMEMBERED)])
    asked.remember([state(f"{answers.MAX_REMEMBERED - 1}", "new")])
    assert ask(asked, f"{answers.MAX_REMEMBERED - 1}") == "new"


def test_large_calls_do_not_fill_the_memory() -> None:
    asked = Answers()
    for n in range(100):
        asked.remember([state(f"{n}" + "x" * 60_000, "y")])
    assert asked.remembered_bytes <= answers.MAX_REMEMBERED_BYTES
    assert ask(asked, "0" + "x" * 60_000) == "y"
