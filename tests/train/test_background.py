import threading
import time

import pytest

from evergrow.train.background import BackgroundWriter


def test_jobs_run_one_after_another_beside_the_caller() -> None:
    writer, done = BackgroundWriter(), []
    go_on = threading.Event()

    def slow() -> None:
        go_on.wait(10)
        done.append(threading.current_thread().name)

    writer.submit(slow)
    assert done == []  # submit came back while the job still waits
    go_on.set()
    writer.submit(lambda: done.append("second"))
    assert done[0].startswith("evergrow-writer")
    writer.wait()
    assert done[1:] == ["second"]
    writer.close()


@pytest.mark.parametrize("call", ["wait", "submit", "close"])
def test_an_error_surfaces_once_at_the_next_call(call: str) -> None:
    writer, done = BackgroundWriter(), []

    def fail() -> None:
        raise OSError("disk full")

    writer.submit(fail)
    arguments = [lambda: done.append(1)] if call == "submit" else []
    with pytest.raises(OSError, match="disk full"):
        getattr(writer, call)(*arguments)
    assert done == [], "nothing is written after a failure that nobody has seen"
    writer.wait()


def test_close_waits_for_the_last_job() -> None:
    writer, done = BackgroundWriter(), []

    def slow() -> None:
        time.sleep(0.05)
        done.append(1)

    writer.submit(slow)
    writer.close()
    assert done == [1]
    with pytest.raises(RuntimeError, match="after shutdown"):
        writer.submit(lambda: None)
