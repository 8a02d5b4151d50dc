from evergrow.warmup import least_warmup, warmup_steps


def test_fresh_moments_fill_in_two_over_one_minus_beta2_steps() -> None:
    assert [least_warmup(beta2) for beta2 in (0.9, 0.95, 0.98, 0.999)] == [20, 40, 100, 2000]


def test_the_warm_up_is_what_is_asked_else_the_usual_but_long_enough() -> None:
    assert warmup_steps(None, 0.01, 1000, 40) == 40
    assert warmup_steps(None, 0.01, 100_000, 40) == 1000  # the usual 1 % is longer
    assert warmup_steps(None, 0.01, 100, 40) == 25  # a quarter at most
    assert warmup_steps(None, 0.0, 1000, 40) == 40
    assert warmup_steps(None, 0.0, 1000, 0) == 0
    assert warmup_steps(0.0, 0.01, 1000, 40) == 0  # as asked
    assert warmup_steps(0.1, 0.01, 1000, 40) == 100
