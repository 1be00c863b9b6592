"""A process of this machine that computes one job at a time.

A job goes to it and a reply comes back on a pipe of its own: a death hits one job, and is known at once. CPython's
`ProcessPoolExecutor` cannot give up a job that nobody wants any more, takes an exception that cannot be unpickled for a
death, and may wait for ever when a worker dies while another is being started.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from slipstream.simulation.sweep.executor import JobFailed, call

LEAVE_SECONDS = 5.0  # for a worker without a job to end by itself
# One thread a worker: as many workers as cores, and results that do not depend on how sums are split among threads.
SINGLE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def asking(work: str, job: Any) -> bytes:
    """A job as it is given to a worker. Raises what `pickle` does."""
    return pickle.dumps((work, job), pickle.HIGHEST_PROTOCOL)


def serve(pipe: Connection) -> None:
    """In a worker: compute what comes until nothing more can."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner, which is interrupted too, decides when to end
    leave_with_parent()
    while True:
        try:
            asked = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        pipe.send_bytes(replied(asked))


def replied(asked: bytes) -> bytes:
    """The reply to a job: whether it was done, and its result or what it raised."""
    try:
        work, job = pickle.loads(asked)
        return pickle.dumps((True, call(work, job)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        said = "".join(traceback.format_exception(error))
        error.add_note(f"in a worker:\n{said}")
        try:
            reply = pickle.dumps((False, error), pickle.HIGHEST_PROTOCOL)
            pickle.loads(reply)  # some exceptions cannot be made again from what they keep
        except Exception:
            reply = pickle.dumps((False, JobFailed(f"a job raised {type(error).__name__}: {error}\n{said}")))
        return reply


def leave_with_parent() -> None:
    """In a worker: end when the process that owns it does, even if it was killed and could say nothing."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()


class Worker:
    """One process, from its start to its end. ``work`` is what it will mostly be asked for: imported beforehand."""

    def __init__(self, work: str) -> None:
        for name in SINGLE:
            os.environ.setdefault(name, "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([work.partition(":")[0]])  # what is imported once need not be again
        self._pipe, there = context.Pipe()
        with there:
            self._process = context.Process(target=serve, args=(there,), daemon=True, name="sweep")
            self._process.start()
        self.handles = (self._pipe, self._process.sentinel)

    @property
    def alive(self) -> bool:
        """Whether it can be given a job."""
        return self._process.is_alive()

    def begin(self, asked: bytes) -> None:
        """Give it a job (`asking`); one of ``handles`` is ready when it is done or dead."""
        try:
            self._pipe.send_bytes(asked)
        except OSError:
            self._process.kill()  # if it is not dead yet

    def reply(self) -> tuple[bool, Any] | None:
        """Whether the job was done, and its result or what it raised; None from the dead.

        Raises what a result that cannot be unpickled raises.
        """
        try:
            if not self._pipe.poll():
                return None
            said = self._pipe.recv_bytes()
        except (EOFError, OSError):
            return None
        worked, value = pickle.loads(said)
        return worked, value

    def let_go(self) -> None:
        """Without a job it ends by itself from here on."""
        self._pipe.close()

    def end(self, patience: float = 0.0) -> None:
        """End it, by force after so many seconds, and wait until it is gone."""
        self._pipe.close()
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
