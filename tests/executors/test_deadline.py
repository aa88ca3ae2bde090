"""The time limit of a trial: an exception, then the end of the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from bench.executors import deadline as module
from bench.executors.deadline import TrialTimeout, deadline

pytestmark = pytest.mark.slow

DEAF = "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"


@pytest.fixture(autouse=True)
def _no_alarm():
    """Put aside the alarm with which pytest limits a test."""
    before = signal.getsignal(signal.SIGALRM)
    rest = signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.signal(signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, *rest)


def test_a_block_that_is_in_time_is_left_alone():
    before = signal.getsignal(signal.SIGALRM)
    with deadline(0.2):
        pass
    time.sleep(0.3)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_block_without_limit_is_left_alone():
    with deadline(None):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_that_was_set_before_goes_on():
    signal.setitimer(signal.ITIMER_REAL, 100)
    with deadline(5):
        time.sleep(0.2)
    assert 99 < signal.getitimer(signal.ITIMER_REAL)[0] < 99.9


def test_no_exception_handler_of_a_method_catches_it():
    start = time.monotonic()
    with pytest.raises(TrialTimeout, match=r"no result within 0\.2 seconds"), deadline(0.2):
        try:
            time.sleep(10)
        except Exception:
            pytest.fail("a timeout must not look like an error of the method")
    assert time.monotonic() - start < 2
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_it_rings_again_where_it_was_swallowed():
    rings = 0
    with pytest.raises(TrialTimeout), deadline(0.1):
        try:
            time.sleep(10)
        except TrialTimeout:
            rings += 1
        time.sleep(10)
    assert rings == 1


def test_it_says_so_outside_the_main_thread():
    errors = []

    def work() -> None:
        try:
            with deadline(1):
                pass
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors and "main thread" in errors[0]


@pytest.mark.parametrize(
    "hang",
    [
        "while True:\n        try: time.sleep(1000)\n        except BaseException: pass",
        f"{DEAF}; time.sleep(1000)",
        f"{DEAF}; __import__('ctypes').PyDLL(None).sleep(1000)",
    ],
    ids=["swallows", "deaf", "holds-the-lock"],
)
def test_a_process_that_cannot_be_interrupted_ends(hang):
    code = (
        "import signal, time\nfrom bench.executors import deadline as d\nd.GRACE = 0.5\n"
        f"with d.deadline(0.3, kill=True):\n    {hang}\n"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == ""
    assert time.monotonic() - start < 30


def test_the_watch_is_called_off_with_the_block(monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.2)
    with deadline(0.1, kill=False):
        pass
    code = (
        "import time\nfrom bench.executors import deadline as d\nd.GRACE = 0.2\n"
        "with d.deadline(0.3, kill=True): pass\ntime.sleep(1)\nprint('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert done.stdout == "alive\n"
