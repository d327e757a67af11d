"""Runs one job: python3 -m queuemgr.run FILE.py[:CLASS]

Without CLASS the file's only job class is taken. Parameters are read from the file that
QUEUEMGR_PARAMS names; without it there are none. Exit code: 0 done, 1 failed, 2 wrong usage; a
job that was told to stop ends by the signal that told it.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import signal
import sys
import traceback
from types import FrameType, ModuleType
from typing import Any, Optional, Type

from queuemgr import report
from queuemgr.jobs.base import JobFailed, JobStopped, QueueJobBase

# Signals that may tell a job to stop: which one it is, its record says. One that is ignored from the
# start, as nohup does, or that the job uses itself, stays so; SIGTERM always means a stop.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Unusable(Exception):
    """The job can't be run as it was asked for; in words."""


def load(target: str) -> Type[QueueJobBase]:
    """Return the class that FILE.py[:CLASS] names."""
    path, colon, name = target.rpartition(":")
    if not colon or not name.isidentifier():
        path, name = target, ""
    if not os.path.isfile(path):
        raise Unusable(f"there is no file {path}: give FILE.py:CLASS")
    module = _import(os.path.abspath(path))
    if name:
        found = getattr(module, name, None)
        if not inspect.isclass(found) or not issubclass(found, QueueJobBase):
            raise Unusable(f"{path} has no job class {name}; {_those(_classes(module))}")
        return found
    classes = _classes(module)
    if len(classes) != 1:
        raise Unusable(f"{path} does not tell by itself which class is meant, give {path}:CLASS; {_those(classes)}")
    return classes[0]


def _import(path: str) -> ModuleType:
    folder, base = os.path.split(path)
    # What lies beside the file can be imported, as in `python3 FILE.py`; the current folder, which
    # `python3 -m` puts there, can be anybody's.
    if sys.path:
        sys.path[0] = folder
    name = os.path.splitext(base)[0]
    if name in sys.modules:
        name = "job_" + name
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Unusable(f"{path} is no Python file: its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _classes(module: ModuleType) -> "list[Type[QueueJobBase]]":
    """Return the job classes of the module itself that no other of them is made from."""
    found = [
        c
        for c in vars(module).values()
        if inspect.isclass(c) and issubclass(c, QueueJobBase) and c.__module__ == module.__name__ and not inspect.isabstract(c)
    ]
    found = list(dict.fromkeys(found))  # a class may have two names
    return [c for c in found if not any(other is not c and issubclass(other, c) for other in found)]


def _those(classes: "list[Type[QueueJobBase]]") -> str:
    if not classes:
        return "it has no subclass of QueueJobBase with a method execute"
    return "its job classes are " + ", ".join(c.__name__ for c in classes)


def read_params() -> "dict[str, Any]":
    """Return the job's parameters."""
    path = os.environ.get("QUEUEMGR_PARAMS")
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            params = json.load(file)
    except (OSError, ValueError) as err:
        raise Unusable(f"the parameters in {path} (QUEUEMGR_PARAMS) can't be read: {err}") from err
    if not isinstance(params, dict):
        raise Unusable(f"the parameters in {path} (QUEUEMGR_PARAMS) are no JSON object")
    return params


def failure_of(result: Any) -> Optional[str]:
    """Return the error that a result tells of, None where it tells of none."""
    if not isinstance(result, dict):
        return None
    status = result.get("status")
    if not (isinstance(status, str) and status.lower() in ("error", "failed")) and result.get("success") is not False:
        return None
    for key in ("message", "error"):
        if result.get(key):
            return str(result[key])
    return "the result says that the job failed, and not why"


class Run:
    """One run of a job: calls its methods in their order, each once."""

    def __init__(self, job: QueueJobBase) -> None:
        self.job = job
        self.code = 0
        self.signal: Optional[int] = None  # the first that told it to stop
        self._interruptible = False
        self._pid = os.getpid()
        self._caught: "list[signal.Signals]" = []

    def run(self) -> int:
        """Return the exit code. Does not return where the job was told to stop."""
        self._catch_signals()
        report.current().start()
        finished = self._work()
        if not finished:
            self._hook("on_stop")
        self._hook("on_end")
        report.current().close()
        if report.current().undelivered and not self.code:
            self.code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        for number in self._caught:
            signal.signal(number, signal.SIG_DFL)
        if not finished:
            assert self.signal is not None
            # As a process that never caught it, so that the record says stopped.
            os.kill(os.getpid(), self.signal)
        return self.code

    def _work(self) -> bool:
        """Call on_start, execute and on_error. Return False where the job was told to stop before it was done."""
        stopped = True  # where the handler raises in the finally below
        try:
            try:
                self.job.on_start()
                returned = self._execute()
            finally:
                self._interruptible = False
                stopped = self.job.stopping  # whoever tells it later comes too late
                self._leave_in_child()
            if returned is not None:
                self.job.set_result(returned)
            failure = failure_of(self.job._result)
            if failure is not None and not stopped:
                raise JobFailed(failure)
            return not stopped
        except BaseException as exc:  # SystemExit too
            if stopped:
                if not isinstance(exc, (JobStopped, SystemExit)):
                    _print_traceback(exc)
                return False
            if isinstance(exc, SystemExit) and not exc.code:
                return True
            self._failed(exc)
            self._hook("on_error", exc)
            return True

    def _execute(self) -> Any:
        self._interruptible = self.job.interrupt_on_stop
        if self.job.stopping:
            raise JobStopped
        return self.job.execute()

    def _leave_in_child(self) -> None:
        """End a process that the job has forked and that has come back from execute: hooks are the job's own."""
        if os.getpid() == self._pid:
            return
        exc = sys.exc_info()[1]
        code = 0 if exc is None else 1
        if isinstance(exc, SystemExit):
            code = exc.code if isinstance(exc.code, int) else int(bool(exc.code))
        elif exc is not None:
            _print_traceback(exc)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def _failed(self, exc: BaseException) -> None:
        self.code = 1
        if isinstance(exc, SystemExit):
            if isinstance(exc.code, int):
                self.code = exc.code
                words = f"sys.exit({exc.code})"
            else:
                words = str(exc.code)
                print(words, file=sys.stderr)
        elif isinstance(exc, JobFailed):
            words = str(exc)
            print(f"queuemgr: the job failed: {words}", file=sys.stderr)
        else:
            words = _words(exc)
            _print_traceback(exc)
        report.current().error(words)

    def _hook(self, name: str, *args: Any) -> None:
        """Call one of the last hooks. What it raises makes a job that was done a failed one."""
        try:
            getattr(self.job, name)(*args)
        except BaseException as exc:
            _print_traceback(exc)
            if not self.code:
                self.code = 1
                report.current().error(f"{name}: {_words(exc)}")

    def _catch_signals(self) -> None:
        self._caught = [s for s in STOP_SIGNALS if s == signal.SIGTERM or signal.getsignal(s) in (signal.SIG_DFL, signal.default_int_handler)]
        for number in self._caught:
            signal.signal(number, self._told_to_stop)

        def in_child() -> None:
            # A process that the job forks is told to stop on its own, and dies of it.
            for number in self._caught:
                signal.signal(number, signal.SIG_DFL)
            report.current().forked()

        os.register_at_fork(after_in_child=in_child)

    def _told_to_stop(self, number: int, _: Optional[FrameType]) -> None:
        if self.signal is not None:
            return
        self.signal = number
        self.job.stopping = True
        self.job._running = False
        if self._interruptible:
            raise JobStopped


def _words(exc: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(exc), exc)).strip()


def _print_traceback(exc: BaseException) -> None:
    traceback.print_exception(type(exc), exc, exc.__traceback__)


def main(args: "list[str]") -> int:
    """Run the job that args name, and return the exit code."""
    if args in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    try:
        if len(args) != 1:
            raise Unusable("one argument is needed: FILE.py:CLASS")
        job = load(args[0])(os.environ.get("QUEUEMGR_JOB_ID") or "none", read_params())
    except Unusable as err:
        print(f"queuemgr: {err}", file=sys.stderr)
        report.current().error(str(err))
        return 2
    except Exception as exc:
        _print_traceback(exc)
        report.current().error(_words(exc))
        return 1
    return Run(job).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
