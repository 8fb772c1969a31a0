"""Sessions: age, idle time, and number."""

from broker.auth.gate import Role
from hub_app.login.sessions import IDLE_S, MAX_AGE_S, MAX_SESSIONS, Sessions, Visitor

KIM = Visitor("kim", Role.VIEWER)


def test_a_session_is_found_by_its_token_and_by_no_other() -> None:
    sessions = Sessions()
    token = sessions.open(KIM, 0.0)
    assert len(token) == 43  # 256 bits in base64
    assert sessions.find(token, 1.0) == KIM
    for other in ("", token[:-1], token + "A", "\ud800", sessions.open(KIM, 1.0)[::-1]):
        assert sessions.find(other, 1.0) is None


def test_a_session_ends_where_it_is_not_used_and_at_the_latest_in_a_month() -> None:
    sessions = Sessions()
    idle, used = sessions.open(KIM, 0.0), sessions.open(KIM, 0.0)
    now_s = 0.0
    while now_s + IDLE_S <= MAX_AGE_S:
        now_s += IDLE_S
        assert sessions.find(used, now_s) == KIM
    assert sessions.find(idle, IDLE_S + 1) is None
    assert sessions.find(used, MAX_AGE_S + 1) is None
    assert len(sessions) == 0


def test_a_closed_session_is_none_and_closing_twice_is_fine() -> None:
    sessions = Sessions()
    token = sessions.open(KIM, 0.0)
    sessions.close(token)
    sessions.close(token)
    assert sessions.find(token, 0.0) is None


def test_the_sessions_of_one_person_end_together() -> None:
    sessions = Sessions()
    mine = [sessions.open(KIM, 0.0) for _ in range(3)]
    other = sessions.open(Visitor("lee", Role.OPERATOR), 0.0)
    sessions.close_all_of("kim")
    assert [sessions.find(token, 0.0) for token in mine] == [None] * 3
    assert sessions.find(other, 0.0) is not None


def test_there_are_never_more_sessions_than_allowed_and_the_unused_one_goes() -> None:
    sessions = Sessions()
    first, second = sessions.open(KIM, 0.0), sessions.open(KIM, 0.0)
    for _ in range(MAX_SESSIONS - 2):
        sessions.open(KIM, 0.0)
    sessions.find(first, 1.0)
    sessions.open(KIM, 1.0)
    assert len(sessions) == MAX_SESSIONS
    assert sessions.find(first, 1.0) == KIM
    assert sessions.find(second, 1.0) is None
