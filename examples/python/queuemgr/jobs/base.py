"""The base of job classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from queuemgr import report


class JobStopped(BaseException):
    """Raised within execute when the job is told to stop.

    It is no Exception, so that `except Exception` lets it through.
    """


class JobFailed(Exception):
    """What on_error gets where the job's result says that it failed."""


class QueueJobBase(ABC):
    """One piece of work. Each runs in a process of its own, by `python3 -m queuemgr.run`.

    The methods are called in this order, each once for each run and in the main thread:

        on_start → execute → on_stop (told to stop) or on_error (failed) → on_end

    on_end is called whatever happened. After a SIGKILL nothing is. What on_start raises is an
    error like what execute raises.
    """

    # Whether a stop interrupts execute with JobStopped, wherever it is. A class that sets it to
    # False looks at self.stopping now and then, and returns.
    interrupt_on_stop = True

    # True from the moment the job is told to stop.
    stopping = False

    _result: Any = None

    def __init__(self, job_id: str, params: dict) -> None:
        """Take the job's number in words and its parameters, a JSON object."""
        if not isinstance(job_id, str) or not job_id:
            raise ValueError(f"job_id must be a string that is not empty, not {job_id!r}")
        self.job_id = job_id
        self.params = params

    @abstractmethod
    def execute(self) -> Any:
        """Do the work. What it returns, if not None, is the result.

        An exception means failed, exit code 1; sys.exit(n) is kept. So does a result that is an
        object with "status" "error" or "failed", or "success" false: its "message", or "error",
        is the job's error.
        """

    def on_start(self) -> None:
        """Called first. A stop does not interrupt it, but keeps execute from being called."""

    def on_stop(self) -> None:
        """Called when the job was told to stop. What is not over after the grace time is killed."""

    def on_end(self) -> None:
        """Called last."""

    def on_error(self, exc: BaseException) -> None:
        """Called when the job failed, with why."""

    def set_progress(self, percent: float) -> None:
        """Report how much is done: 0 to 100, rounded down. The record never goes down in one run.

        It may be called as often as one likes: at most 20 reports a second are sent, the last
        always. Raises ValueError where percent is something else.
        """
        report.current().progress(percent)

    def set_description(self, text: str) -> None:
        """Report in words what the job is doing, in one line of at most 1024 bytes."""
        report.current().status(text)

    update_progress = set_progress
    update_description = set_description

    def set_result(self, result: Any) -> None:
        """Report the result: anything that JSON can say, up to 1 MiB. The last one counts.

        Raises TypeError or ValueError where JSON can't say it, or where it is too large.
        """
        report.current().result(result)
        self._result = result

    def keep_alive(self) -> None:
        """Say that the job lives, where its type has a watchdog. Every report says that, too."""
        report.current().alive()

    # What class files of the Python service also use.

    _running = True

    @property
    def _shared_state(self) -> "QueueJobBase":
        return self
