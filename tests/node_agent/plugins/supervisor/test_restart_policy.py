from node_agent.plugins.supervisor.restart_policy import RestartPolicy


def failures(policy: RestartPolicy, count: int) -> list[float]:
    return [policy.failed(now_s=0.0) for _ in range(count)]


def test_waits_double_up_to_five_minutes_and_every_restart_is_counted() -> None:
    policy = RestartPolicy()
    assert failures(policy, 10) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert policy.restarts == 10


def test_a_start_is_due_when_the_wait_is_over() -> None:
    policy = RestartPolicy()
    assert policy.is_due(0.0)
    failures(policy, 2)
    assert [policy.is_due(1.9), policy.is_due(2.0)] == [False, True]


def test_a_plugin_that_ran_for_five_minutes_fails_for_the_first_time_again() -> None:
    policy = RestartPolicy()
    failures(policy, 3)
    policy.running(now_s=100.0)
    policy.running(now_s=390.0)
    assert policy.failed(now_s=399.9) == 8.0
    policy.running(now_s=500.0)
    assert policy.failed(now_s=800.0) == 1.0


def test_time_before_a_reload_does_not_count_as_healthy() -> None:
    policy = RestartPolicy()
    failures(policy, 3)
    policy.running(now_s=0.0)
    policy.started()
    policy.running(now_s=299.0)
    assert policy.failed(now_s=301.0) == 8.0


def test_a_command_starts_at_once_and_forgets_the_failures() -> None:
    policy = RestartPolicy()
    failures(policy, 5)
    policy.retry_now()
    assert policy.is_due(0.0)
    assert policy.failed(now_s=0.0) == 1.0
