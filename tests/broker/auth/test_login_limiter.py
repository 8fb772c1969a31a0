"""Login rate limiter: by address, by account, and the known addresses of an account."""

from broker.auth.login_limiter import (
    ACCOUNT_BURST,
    BURST,
    MAX_ENTRIES,
    SECONDS_PER_TRY,
    LoginLimiter,
)

HOME, ELSEWHERE = "10.0.0.1", "10.0.0.2"


def exhaust_account(limiter: LoginLimiter, account: str, now_s: float = 0.0) -> None:
    for n in range(ACCOUNT_BURST):
        assert limiter.take(f"192.0.2.{n}", account, now_s) == 0.0
    assert limiter.take("192.0.2.200", account, now_s) > 0


def log_in(limiter: LoginLimiter, address: str, account: str, now_s: float = 0.0) -> None:
    assert limiter.take(address, account, now_s) == 0.0
    limiter.succeeded(address, account)


def test_an_address_has_a_few_tries_and_then_one_in_a_while() -> None:
    limiter = LoginLimiter()
    assert [limiter.take(HOME, f"name {n}", 0.0) for n in range(BURST)] == [0.0] * BURST
    assert limiter.take(HOME, "kim", 1.0) == SECONDS_PER_TRY - 1
    assert limiter.take(ELSEWHERE, "kim", 1.0) == 0.0
    assert limiter.take(HOME, "kim", SECONDS_PER_TRY) == 0.0
    assert limiter.take(HOME, "kim", SECONDS_PER_TRY) > 0


def test_an_account_has_its_tries_however_many_addresses_guess() -> None:
    limiter = LoginLimiter()
    exhaust_account(limiter, "kim")
    assert limiter.take("192.0.2.201", "lee", 0.0) == 0.0
    assert limiter.take("192.0.2.201", "kim", SECONDS_PER_TRY) == 0.0
    assert limiter.take("192.0.2.202", "kim", SECONDS_PER_TRY) == SECONDS_PER_TRY


def test_wrong_passwords_from_many_addresses_do_not_lock_out_a_known_one() -> None:
    limiter = LoginLimiter()
    log_in(limiter, HOME, "kim")
    exhaust_account(limiter, "kim")
    assert [limiter.take(HOME, "kim", 0.0) for _ in range(BURST)] == [0.0] * BURST
    assert limiter.take(HOME, "kim", 0.0) == SECONDS_PER_TRY
    limiter.succeeded(HOME, "kim")
    assert limiter.take(HOME, "kim", 0.0) == 0.0


def test_others_behind_one_address_do_not_lock_out_who_is_known_there() -> None:
    limiter = LoginLimiter()
    log_in(limiter, HOME, "kim")
    for _ in range(BURST):
        assert limiter.take(HOME, "lee", 0.0) == 0.0
    assert limiter.take(HOME, "lee", 0.0) > 0
    assert limiter.take(HOME, "kim", 0.0) == 0.0


def test_who_has_one_account_gets_no_more_tries_at_the_others() -> None:
    limiter = LoginLimiter()
    for _ in range(BURST):
        assert limiter.take(HOME, "kim", 0.0) == 0.0
        if not limiter.is_known(HOME, "eve"):
            assert limiter.take(ELSEWHERE, "eve", 0.0) == 0.0
        limiter.succeeded(HOME, "eve")
    for _ in range(3):
        log_in(limiter, HOME, "eve")
    assert limiter.take(HOME, "kim", 0.0) == 0.0
    assert limiter.take(HOME, "kim", 0.0) > 0


def test_a_right_password_uses_no_try_up() -> None:
    limiter = LoginLimiter()
    for n in range(3 * BURST):
        log_in(limiter, HOME, f"person {n}")
    for n in range(2 * ACCOUNT_BURST):
        log_in(limiter, f"192.0.2.{n}", "kim")


def test_addresses_that_one_person_can_choose_between_count_as_one() -> None:
    limiter = LoginLimiter()
    for n in range(BURST):
        assert limiter.take(f"2001:db8::{n}", f"name {n}", 0.0) == 0.0
    assert limiter.take("2001:db8::ffff", "kim", 0.0) > 0
    assert limiter.take("2001:db8:0:1::1", "kim", 0.0) == 0.0
    for n in range(BURST):
        limiter.take("::ffff:10.0.0.9", f"name {n}", 0.0)
    assert limiter.take("10.0.0.9", "kim", 0.0) > 0
    assert limiter.take("fe80::1%eth0", "kim", 0.0) == 0.0


def test_who_tries_from_everywhere_costs_bounded_memory() -> None:
    limiter = LoginLimiter()
    for n in range(MAX_ENTRIES + 10):
        limiter.take(f"host-{n}", f"name {n}" + "x" * 1_000, 0.0)
    assert len(limiter._by_address) == len(limiter._by_account) == MAX_ENTRIES
    assert {len(key) for key in limiter._by_account._full_at_s} == {16}
