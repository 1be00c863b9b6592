"""Work for executors: pure arithmetic, and deaths on the way to it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import numpy as np


class Job(msgspec.Struct, frozen=True):
    """A number to think about; ``die_once`` names a file that is left behind by the one worker that dies for it.

    An ``endless`` one leaves it behind when it begins.
    """

    number: int
    die_once: str = ""
    die_always: bool = False
    fails: bool = False
    endless: bool = False


class Odd(Exception):
    """Cannot be made again from what it keeps."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def think(job: Job) -> tuple[int, float]:
    """Something that depends on the order of floating-point sums, and nothing else."""
    if job.endless:
        Path(job.die_once or os.devnull).touch()
        while True:
            signal.pause()
    if job.fails:
        raise ValueError(f"job {job.number} cannot be done")
    if job.die_always or (job.die_once and _first(Path(job.die_once))):
        os.kill(os.getpid(), signal.SIGKILL)
    table = np.random.default_rng(job.number).normal(size=(40, 30))
    return job.number, float(np.linalg.svd(table.T @ table)[1].sum())


def _first(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def pid(job: Job) -> int:
    """Who computes."""
    return os.getpid()


def odd(job: Job) -> int:
    """Raises what cannot be shipped."""
    raise Odd(job.number, 2)


def closure(job: Job) -> object:
    """What cannot be shipped."""
    return lambda: job
