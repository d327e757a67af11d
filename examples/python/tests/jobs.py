"""Job classes of the tests. Each hook writes its name into the file that the parameter "trace" names."""

import os
import signal
import sys
import time

from queuemgr.core.ipc import update_job_state
from queuemgr.jobs.base import QueueJobBase


class Traced(QueueJobBase):
    def __init__(self, job_id, params):
        super().__init__(job_id, params)
        self.say("init")

    def say(self, word):
        with open(self.params["trace"], "a") as file:
            file.write(word + "\n")

    def execute(self):
        self.say("execute")
        return self.work()

    def work(self):
        pass

    def on_start(self):
        self.say("on_start")

    def on_stop(self):
        self.say("on_stop")

    def on_end(self):
        self.say("on_end")

    def on_error(self, exc):
        self.say(f"on_error {type(exc).__name__}: {exc}")

    def until_stopped(self):
        """Tell the test that it may send its signal, and wait."""
        print("ready", flush=True)
        while True:
            time.sleep(60)


class Success(Traced):
    def work(self):
        self.set_progress(40)
        self.set_description("half\nw\0y")
        self.set_result({"wörd": 1})


class Returns(Traced):
    def work(self):
        self.set_result("this is not the last")
        return [1, {"a": None}]


class Old(Traced):
    def work(self):
        update_job_state(self._shared_state, progress=12.9, description="by the old function", result={"old": self._running})


class Raises(Traced):
    def work(self):
        raise ValueError("no good:\nreally")


class RaisesAtStart(Traced):
    def on_start(self):
        super().on_start()
        raise OSError("nothing there")


class RaisesInHooks(Traced):
    def work(self):
        raise ValueError("first")

    def on_error(self, exc):
        super().on_error(exc)
        raise RuntimeError("second")

    def on_end(self):
        super().on_end()
        raise RuntimeError("third")


class RaisesAtEnd(Traced):
    def on_end(self):
        super().on_end()
        raise RuntimeError("at the end")


class SaysError(Traced):
    def work(self):
        self.set_result({"status": "error", "message": "the disk is too small", "free": 3})


class SaysNoSuccess(Traced):
    def work(self):
        return {"success": False}


class Exits(Traced):
    def work(self):
        sys.exit(self.params["code"])


class Waits(Traced):
    def work(self):
        try:
            self.until_stopped()
        except Exception:
            self.say("an Exception got in the way of the stop")


class Polls(Traced):
    interrupt_on_stop = False

    def work(self):
        print("ready", flush=True)
        while not self.stopping:
            time.sleep(0.01)
        self.say("seen")
        self.set_result({"upto": 7})


class Swallows(Traced):
    def work(self):
        try:
            self.until_stopped()
        except BaseException:
            raise ValueError("instead")


class StoppedAtStart(Traced):
    def on_start(self):
        super().on_start()
        os.kill(os.getpid(), signal.SIGTERM)
        self.say("on_start is whole")


class StoppedAtEnd(Traced):
    def on_end(self):
        super().on_end()
        os.kill(os.getpid(), signal.SIGTERM)
        self.say("on_end is whole")


class StoppedTwice(Traced):
    def work(self):
        self.until_stopped()

    def on_stop(self):
        super().on_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        self.say("on_stop is whole")


class Forks(Traced):
    def work(self):
        for way in ("return", "raise", "report"):
            child = os.fork()
            if child == 0:
                if way == "raise":
                    sys.exit(3)
                if way == "report":
                    self.set_progress(77)
                return
            self.say(f"child {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


class Floods(Traced):
    def work(self):
        begin = time.monotonic()
        n = 0
        while time.monotonic() - begin < 1:
            self.set_progress(n % 100)
            n += 1
        self.say(f"reports {n} {time.monotonic() - begin}")
        self.set_progress(99.9)
        self.set_description("last words")


class Large(Traced):
    def work(self):
        self.set_result("x" * self.params["size"])


class Shrinks(Traced):
    def work(self):
        self.set_result("x" * 100_000)
        self.set_result("small")


class Mistakes(Traced):
    def work(self):
        for call, value in (
            (self.set_progress, 101),
            (self.set_progress, float("nan")),
            (self.set_progress, "40"),
            (self.set_result, float("inf")),
            (self.set_result, {1, 2}),
        ):
            try:
                call(value)
                self.say("taken")
            except (TypeError, ValueError) as err:
                self.say(type(err).__name__)


class Alive(Traced):
    def work(self):
        self.keep_alive()
