"""Known addresses of accounts: bounds, and the file that outlives the hub."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker import known_addresses
from broker.auth.login_limiter import ACCOUNT_BURST, BURST, LoginLimiter
from broker.known_addresses import MAX_ACCOUNTS, MAX_ADDRESSES, KnownAddresses

HOME, ELSEWHERE = "10.0.0.1", "10.0.0.2"


def log_in(limiter: LoginLimiter, address: str, account: str) -> None:
    assert limiter.take(address, account, 0.0) == 0.0
    limiter.succeeded(address, account)


def test_the_addresses_of_an_account_are_bounded_and_the_longest_unused_goes() -> None:
    known = KnownAddresses()
    for n in range(MAX_ADDRESSES + 1):
        known.add("kim", f"192.0.2.{n}")
        known.add("kim", "192.0.2.0")
    assert not known.has("kim", "192.0.2.1")
    assert known.has("kim", "192.0.2.0")
    assert known.has("kim", "192.0.2.2")
    assert not known.has("lee", "192.0.2.2")


def test_the_account_that_logged_in_longest_ago_is_forgotten_first() -> None:
    known = KnownAddresses()
    for n in range(MAX_ACCOUNTS + 1):
        known.add(f"account {n}", HOME)
        known.add("account 0", HOME)
    assert known.has("account 0", HOME)
    assert not known.has("account 1", HOME)
    assert known.has("account 2", HOME)


def test_a_device_logs_in_after_a_restart_of_the_hub_while_others_guess(tmp_path: Path) -> None:
    path = tmp_path / known_addresses.FILE_NAME
    before = KnownAddresses(path)
    log_in(LoginLimiter(before), HOME, "plug")
    asyncio.run(before.save())
    assert "plug" not in path.read_text()

    limiter = LoginLimiter(KnownAddresses(path))
    for n in range(ACCOUNT_BURST):
        assert limiter.take(f"192.0.2.{n}", "plug", 0.0) == 0.0
    assert limiter.take(ELSEWHERE, "plug", 0.0) > 0
    assert [limiter.take(HOME, "plug", 0.0) for _ in range(BURST)] == [0.0] * BURST


def test_only_a_new_address_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / known_addresses.FILE_NAME
    known = KnownAddresses(path)
    known.add("kim", HOME)
    asyncio.run(known.save())
    path.unlink()
    known.add("kim", HOME)
    asyncio.run(known.save())
    assert not path.exists()
    known.add("kim", ELSEWHERE)
    asyncio.run(known.save())
    assert path.exists()


def test_what_is_new_is_written_when_the_hub_ends(tmp_path: Path) -> None:
    path = tmp_path / known_addresses.FILE_NAME

    async def run() -> None:
        known = KnownAddresses(path)
        task = asyncio.create_task(known.run())
        known.add("kim", HOME)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())
    assert KnownAddresses(path).has("kim", HOME)


def test_what_is_new_while_the_file_waits_for_its_thread_is_written_the_next_time(
    tmp_path: Path,
) -> None:
    path = tmp_path / known_addresses.FILE_NAME

    async def run() -> None:
        busy = threading.Event()
        with ThreadPoolExecutor(1) as executor:
            asyncio.get_running_loop().set_default_executor(executor)
            executor.submit(busy.wait)
            known = KnownAddresses(path)
            known.add("kim", HOME)
            saving = asyncio.create_task(known.save())
            await asyncio.sleep(0)
            known.add("kim", ELSEWHERE)
            busy.set()
            await saving
            await known.save()

    asyncio.run(run())
    assert KnownAddresses(path).has("kim", ELSEWHERE)


@pytest.mark.parametrize("content", ["", "[]", '{"kim": 3}', '{"kim": ["10.'])
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: str) -> None:
    path = tmp_path / known_addresses.FILE_NAME
    path.write_text(content)
    known = KnownAddresses(path)
    assert not known.has("kim", HOME)
    assert not path.exists()
    known.add("kim", HOME)
    asyncio.run(known.save())
    assert KnownAddresses(path).has("kim", HOME)


def test_a_file_of_too_much_is_read_up_to_the_bounds(tmp_path: Path) -> None:
    path = tmp_path / known_addresses.FILE_NAME
    addresses = ",".join(f'"10.0.0.{n}"' for n in range(MAX_ADDRESSES + 1))
    path.write_text(f'{{"kim": [{addresses}]}}')
    known = KnownAddresses(path)
    assert not known.has("kim", "10.0.0.0")
    assert known.has("kim", f"10.0.0.{MAX_ADDRESSES}")
