"""A plugin file of methods with every fault that an executor must survive. `mark` is a folder for their traces."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from bench.methods.msdnet_thresh import MSDNetThreshold

from bench.method import Method


@dataclass(frozen=True)
class Config:
    mark: str = ""
    seconds: float = 0.0


class _Faulty(Method):
    Config = Config

    def fit(self, task, budgets):
        folder = Path(self.config.mark)
        attempt = len(list(folder.glob(f"{self.name}-{task.seed}-*")))
        (folder / f"{self.name}-{task.seed}-{attempt}").write_text(f"{os.getpid()} {os.getppid()}")
        self.fail(attempt)
        return MSDNetThreshold().fit(task, budgets)

    def fail(self, attempt: int) -> None: ...


class Fine(_Faulty):
    name = "fine"

    def fail(self, attempt):
        time.sleep(self.config.seconds)
        while Path(self.config.mark, "hold").exists():
            time.sleep(0.1)


class Raises(_Faulty):
    name = "raises"

    def fail(self, attempt):
        raise ValueError("the moon is in the wrong house")


class RaisesOnce(_Faulty):
    name = "raises_once"

    def fail(self, attempt):
        if attempt == 0:
            raise ValueError("only the first time")


class Quits(_Faulty):
    name = "quits"

    def fail(self, attempt):
        raise SystemExit(3)


class Killed(_Faulty):
    name = "killed"

    def fail(self, attempt):
        os.kill(os.getpid(), signal.SIGKILL)


class KilledOnce(_Faulty):
    name = "killed_once"

    def fail(self, attempt):
        if attempt == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Sleeps(_Faulty):
    name = "sleeps"

    def fail(self, attempt):
        time.sleep(1000)


class Stubborn(_Faulty):
    name = "stubborn"

    def fail(self, attempt):
        while True:
            with contextlib.suppress(BaseException):
                time.sleep(1000)


class Stopped(_Faulty):
    name = "stopped"

    def fail(self, attempt):
        os.kill(os.getpid(), signal.SIGSTOP)


class EatsTorch(_Faulty):
    name = "eats_torch"

    def fail(self, attempt):
        torch.ones(6 << 28)  # 6 GiB


class EatsPython(_Faulty):
    name = "eats_python"

    def fail(self, attempt):
        bytearray(6 << 30)


class Threads(_Faulty):
    name = "threads"

    def fail(self, attempt):
        from threadpoolctl import threadpool_info

        pools = {pool["num_threads"] for pool in threadpool_info()}
        Path(self.config.mark, "threads.txt").write_text(f"{torch.get_num_threads()} {sorted(pools)}")
