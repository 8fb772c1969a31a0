"""Password checks: the queue, its limits, and refusals without a check."""

import asyncio
from pathlib import Path

import pytest

from broker.auth import accounts
from broker.auth.accounts import AccountsFile
from broker.auth.gate import Role
from broker.auth.login_limiter import BURST, SECONDS_PER_TRY
from broker.auth.password_check import PasswordCheck, TooManyAttemptsError

PASSWORD = "correct horse"
FAR = "10.0.0.9"


class Checks:
    """Checks that end when they are told to; it counts how many began."""

    def __init__(self, *, is_right: bool = True) -> None:
        self.began = 0
        self.at_once = 0
        self.go_on = asyncio.Event()
        self._is_right = is_right

    async def check(self) -> bool | None:
        self.began += 1
        self.at_once += 1
        assert self.at_once == 1
        await self.go_on.wait()
        self.at_once -= 1
        return self._is_right or None


def clock() -> float:
    return 0.0


async def outcomes(check: PasswordCheck, checks: Checks, tries: list[tuple[str, str]]) -> list[str]:
    """Run tries side by side; return for each whether it was right, wrong or refused."""
    running = [asyncio.ensure_future(check.run(*each, checks.check)) for each in tries]
    # All of them are under way now: in the queue, or refused.
    await asyncio.sleep(0)
    checks.go_on.set()
    done = await asyncio.gather(*running, return_exceptions=True)
    words = {True: "right", None: "wrong"}
    return [
        "refused" if isinstance(each, TooManyAttemptsError) else words[each]  # type: ignore[index]
        for each in done
    ]


def test_a_full_queue_refuses_at_once_and_no_address_fills_it() -> None:
    async def run() -> list[list[str]]:
        many = [(f"10.1.{n // 250}.{n % 250}", f"name {n}") for n in range(325)]
        return [
            await outcomes(PasswordCheck(clock), Checks(), [(FAR, "ann")] * 260),
            await outcomes(PasswordCheck(clock), Checks(), many),
        ]

    from_one, from_many = asyncio.run(run())
    assert (from_one.count("right"), from_one.count("refused")) == (256, 4)
    assert (from_many.count("right"), from_many.count("refused")) == (320, 5)


def test_many_accounts_that_return_from_one_address_are_all_let_in() -> None:
    async def run() -> list[str]:
        return await outcomes(
            PasswordCheck(clock), Checks(), [(FAR, f"device {n}") for n in range(200)]
        )

    assert asyncio.run(run()) == ["right"] * 200


def test_addresses_have_their_checks_in_turn_and_known_ones_first() -> None:
    async def run() -> list[str]:
        check = PasswordCheck(clock)
        assert await outcomes(check, Checks(), [("known", "kim")]) == ["right"]
        order: list[str] = []

        async def note(address: str) -> bool:
            order.append(address)
            await asyncio.sleep(0)
            return True

        tries = [("a", "ann"), ("a", "bob"), ("a", "cid"), ("b", "dan"), ("known", "kim")]
        await asyncio.gather(*(check.run(*each, lambda a=each[0]: note(a)) for each in tries))
        return order

    assert asyncio.run(run()) == ["a", "known", "a", "b", "a"]


def test_a_wrong_password_of_many_at_once_ends_the_others_turns_without_a_check() -> None:
    async def run() -> tuple[list[str], int]:
        checks = Checks(is_right=False)
        answers = await outcomes(
            PasswordCheck(clock), checks, [(FAR, f"name {n}") for n in range(100)]
        )
        return answers, checks.began

    answers, began = asyncio.run(run())
    assert answers == ["wrong"] * BURST + ["refused"] * (100 - BURST)
    assert began == BURST


def test_a_queue_full_of_strangers_has_a_place_for_a_known_address() -> None:
    async def run() -> list[str]:
        check = PasswordCheck(clock)
        assert await outcomes(check, Checks(), [(FAR, "ann")]) == ["right"]
        strangers = [(f"10.1.{n // 250}.{n % 250}", f"name {n}") for n in range(324)]
        return await outcomes(check, Checks(), [*strangers, (FAR, "bob"), (FAR, "ann")])

    answers = asyncio.run(run())
    assert answers.count("refused") == 5
    assert answers[-2:] == ["refused", "right"]


def test_a_right_password_is_not_even_looked_at_while_an_address_waits() -> None:
    async def run() -> None:
        now_s = 0.0
        check = PasswordCheck(lambda: now_s)
        wrong, right = Checks(is_right=False), Checks()
        for _ in range(BURST):
            assert await outcomes(check, wrong, [(FAR, "ann")]) == ["wrong"]
        with pytest.raises(TooManyAttemptsError, match=r"try again in 10 s") as refused:
            await check.run(FAR, "ann", right.check)
        assert refused.value.wait_s == SECONDS_PER_TRY
        assert right.began == 0
        now_s = SECONDS_PER_TRY
        assert await outcomes(check, right, [(FAR, "ann")]) == ["right"]

    asyncio.run(run())


def test_many_tries_at_once_are_no_more_than_one_after_the_other() -> None:
    async def run() -> list[str]:
        check = PasswordCheck(clock)
        answers = []
        for _ in range(3):
            answers += await outcomes(check, Checks(is_right=False), [(FAR, "ann")] * 4)
        return answers

    assert asyncio.run(run()) == ["wrong"] * BURST + ["refused"] * (12 - BURST)


def test_a_check_that_is_cancelled_gives_its_place_back() -> None:
    async def run() -> list[str]:
        check = PasswordCheck(clock)
        stuck = Checks()
        tasks = [asyncio.ensure_future(check.run(FAR, "ann", stuck.check)) for _ in range(256)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await outcomes(check, Checks(), [(FAR, "ann")])

    assert asyncio.run(run()) == ["right"]


def test_real_passwords_are_checked_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    accounts.set_password(path, "ann", Role.OPERATOR, PASSWORD)
    file = AccountsFile(path)

    async def run() -> list[bool]:
        check = PasswordCheck(clock)
        tries = [("ann", PASSWORD), ("ann", "wrong"), ("nobody", PASSWORD)]
        return [
            await check.run(FAR, name, lambda n=name, p=password: file.authenticate(n, p.encode()))  # type: ignore[misc]
            is not None
            for name, password in tries
        ]

    assert asyncio.run(run()) == [True, False, False]
