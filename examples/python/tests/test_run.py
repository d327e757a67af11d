"""Runs jobs as the service does: as processes of their own, by a socket that receives what they report."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(HERE)
JOBS = os.path.join(HERE, "jobs.py")
LIMIT = 60  # seconds; whatever takes longer hangs


class JobTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        self.trace = os.path.join(self.dir, "trace")
        self.receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.receiver.close)
        self.receiver.bind(os.path.join(self.dir, "notify.sock"))
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": PACKAGE,
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "NOTIFY_SOCKET": os.path.join(self.dir, "notify.sock"),
            "QUEUEMGR_JOB_ID": "7",
            "QUEUEMGR_RUN_ID": "run7",
            "QUEUEMGR_DIR": self.dir,
        }

    def begin(self, target, **params):
        """Start a job and return its process."""
        path = os.path.join(self.dir, "params.json")
        with open(path, "w") as file:
            json.dump({"trace": self.trace, **params}, file)
        env = {**self.env, "QUEUEMGR_PARAMS": path}
        process = subprocess.Popen(
            [sys.executable, "-m", "queuemgr.run", target], env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.addCleanup(process.kill)
        return process

    def end(self, process):
        """Wait for its end: exit code, or a signal's number below zero, as code, what it wrote as out and err."""
        self.out, self.err = process.communicate(timeout=LIMIT)
        self.code = process.returncode

    def run_job(self, name, **params):
        self.end(self.begin(f"{JOBS}:{name}", **params))

    def stop_job(self, name, number=signal.SIGTERM):
        process = self.begin(f"{JOBS}:{name}")
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(number)
        self.end(process)

    def hooks(self):
        with open(self.trace) as file:
            return file.read().splitlines()

    def datagrams(self):
        """Return what was received, each datagram as a dictionary of its lines."""
        self.receiver.setblocking(False)
        found = []
        while True:
            try:
                message = self.receiver.recv(1 << 17).decode()
            except BlockingIOError:
                return found
            lines = [line.partition("=") for line in message.split("\n")]
            self.assertEqual(lines[0], ("X_QUEUEMGR_RUN_ID", "=", "run7"))
            self.assertGreater(len(lines), 1, message)
            found.append({key: value for key, _, value in lines[1:]})

    def last(self):
        """Return the last value of each line that was received."""
        lines = {}
        for d in self.datagrams():
            lines.update(d)
        return lines


class Hooks(JobTest):
    def check(self, code, *hooks):
        self.assertEqual((self.code, self.hooks()), (code, ["init", *hooks]), self.err)

    def test_success(self):
        self.run_job("Success")
        self.check(0, "on_start", "execute", "on_end")
        self.assertEqual((self.out, self.err), ("", ""))
        self.assertEqual(self.last(), {"X_QUEUEMGR_PROGRESS": "40", "STATUS": "half w y", "X_QUEUEMGR_RESULT": '{"wörd":1}'})

    def test_without_a_service(self):
        for name in ("NOTIFY_SOCKET", "QUEUEMGR_JOB_ID", "QUEUEMGR_RUN_ID", "QUEUEMGR_DIR"):
            del self.env[name]
        self.run_job("Success")
        self.check(0, "on_start", "execute", "on_end")
        self.assertEqual((self.out, self.err), ("", ""))

    def test_exception(self):
        self.run_job("Raises")
        self.check(1, "on_start", "execute", "on_error ValueError: no good:", "really", "on_end")
        self.assertIn("Traceback (most recent call last)", self.err)
        self.assertIn("in work\n", self.err)
        self.assertEqual(self.last(), {"X_QUEUEMGR_ERROR": "ValueError: no good: really"})

    def test_exception_at_start(self):
        self.run_job("RaisesAtStart")
        self.check(1, "on_start", "on_error OSError: nothing there", "on_end")

    def test_exceptions_in_hooks(self):
        self.run_job("RaisesInHooks")
        self.check(1, "on_start", "execute", "on_error ValueError: first", "on_end")
        self.assertEqual(self.last(), {"X_QUEUEMGR_ERROR": "ValueError: first"})
        for words in ("ValueError: first", "RuntimeError: second", "RuntimeError: third"):
            self.assertIn(words, self.err)

    def test_exception_at_the_end_of_a_success(self):
        self.run_job("RaisesAtEnd")
        self.check(1, "on_start", "execute", "on_end")
        self.assertEqual(self.last(), {"X_QUEUEMGR_ERROR": "on_end: RuntimeError: at the end"})

    def test_result_that_says_error(self):
        self.run_job("SaysError")
        self.check(1, "on_start", "execute", "on_error JobFailed: the disk is too small", "on_end")
        said = self.last()
        self.assertEqual(said.pop("X_QUEUEMGR_ERROR"), "the disk is too small")
        self.assertEqual(json.loads(said.pop("X_QUEUEMGR_RESULT"))["free"], 3)
        self.assertEqual(said, {})
        self.assertEqual(self.err, "queuemgr: the job failed: the disk is too small\n")

    def test_returned_result_that_says_no_success(self):
        self.run_job("SaysNoSuccess")
        self.assertEqual(self.code, 1)
        self.assertEqual(self.last()["X_QUEUEMGR_ERROR"], "the result says that the job failed, and not why")

    def test_exit_code(self):
        self.run_job("Exits", code=3)
        self.check(3, "on_start", "execute", "on_error SystemExit: 3", "on_end")

    def test_exit_code_0(self):
        self.run_job("Exits", code=0)
        self.check(0, "on_start", "execute", "on_end")

    def test_stop(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            with self.subTest(number):
                self.stop_job("Waits", number)
                self.check(-number, "on_start", "execute", "on_stop", "on_end")
                self.assertEqual(self.err, "")
                os.unlink(self.trace)

    def test_stop_that_is_polled(self):
        self.stop_job("Polls")
        self.check(-signal.SIGTERM, "on_start", "execute", "seen", "on_stop", "on_end")
        self.assertEqual(self.last(), {"X_QUEUEMGR_RESULT": '{"upto":7}'})

    def test_stop_that_becomes_an_exception(self):
        self.stop_job("Swallows")
        self.check(-signal.SIGTERM, "on_start", "execute", "on_stop", "on_end")
        self.assertIn("ValueError: instead", self.err)

    def test_stop_in_on_start(self):
        self.run_job("StoppedAtStart")
        self.check(-signal.SIGTERM, "on_start", "on_start is whole", "on_stop", "on_end")

    def test_stop_in_on_end_of_a_success(self):
        self.run_job("StoppedAtEnd")
        self.check(0, "on_start", "execute", "on_end", "on_end is whole")

    def test_second_stop(self):
        self.stop_job("StoppedTwice")
        self.check(-signal.SIGTERM, "on_start", "execute", "on_stop", "on_stop is whole", "on_end")

    def test_kill(self):
        self.stop_job("Waits", signal.SIGKILL)
        self.check(-signal.SIGKILL, "on_start", "execute")

    def test_children_run_no_hooks(self):
        self.run_job("Forks")
        self.check(0, "on_start", "execute", "child 0", "child 3", "child 0", "on_end")
        self.assertEqual(self.last(), {"X_QUEUEMGR_PROGRESS": "77"})


class Reports(JobTest):
    def test_returned_value_is_the_result(self):
        self.run_job("Returns")
        self.assertEqual(self.last(), {"X_QUEUEMGR_RESULT": '[1,{"a":null}]'})

    def test_old_function(self):
        self.run_job("Old")
        self.assertEqual(
            self.last(), {"X_QUEUEMGR_PROGRESS": "12", "STATUS": "by the old function", "X_QUEUEMGR_RESULT": '{"old":true}'}
        )

    def test_flood_is_coalesced(self):
        # More than fit into the socket's queue: they are read while the job runs.
        process = self.begin(f"{JOBS}:Floods")
        self.receiver.settimeout(LIMIT)
        messages = []
        while not messages or "last words" not in messages[-1]:
            messages.append(self.receiver.recv(1 << 17).decode())
        self.end(process)
        self.assertEqual(self.code, 0, self.err)
        self.assertIn("X_QUEUEMGR_PROGRESS=99", messages[-1].split("\n"))
        _, reports, seconds = self.hooks()[3].split()
        self.assertGreater(int(reports), 1000)
        self.assertLessEqual(len(messages), 20 * float(seconds) + 3)

    def test_large_result_is_a_file(self):
        self.run_job("Large", size=(1 << 20) - 2)
        self.assertEqual(self.code, 0, self.err)
        self.assertEqual(self.last(), {})
        with open(os.path.join(self.dir, "result.json")) as file:
            self.assertEqual(json.load(file), "x" * ((1 << 20) - 2))
        self.assertEqual(sorted(os.listdir(self.dir)), ["notify.sock", "params.json", "result.json", "trace"])

    def test_largest_result_in_a_datagram(self):
        self.run_job("Large", size=(64 << 10) - 2)
        self.assertEqual(len(self.last()["X_QUEUEMGR_RESULT"]), 64 << 10)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "result.json")))

    def test_result_too_large(self):
        self.run_job("Large", size=(1 << 20) - 1)
        self.assertEqual(self.code, 1)
        self.assertIn("the result is 1048577 bytes long", self.last()["X_QUEUEMGR_ERROR"])
        self.assertFalse(os.path.exists(os.path.join(self.dir, "result.json")))

    def test_small_result_after_a_large_one(self):
        self.run_job("Shrinks")
        with open(os.path.join(self.dir, "result.json")) as file:
            self.assertEqual(json.load(file), "small")
        self.assertEqual(self.last(), {})

    def test_mistakes(self):
        self.run_job("Mistakes")
        self.assertEqual(self.hooks()[3:-1], ["ValueError", "ValueError", "ValueError", "ValueError", "TypeError"])
        self.assertEqual(self.last(), {})

    def test_keep_alive(self):
        self.run_job("Alive")
        self.assertEqual(self.last(), {"WATCHDOG": "1"})

    def test_receiver_that_is_gone(self):
        self.receiver.close()
        self.run_job("Old")
        # The work was done, but its result is known to nobody.
        self.assertEqual((self.code, self.hooks()), (1, ["init", "on_start", "execute", "on_end"]))
        self.assertIn("queuemgr: a report could not be sent to the service", self.err)


class Loading(JobTest):
    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def refused(self, target, *words):
        self.end(self.begin(target))
        self.assertEqual(self.code, 2, self.err)
        self.assertEqual(self.err.count("\n"), 1, self.err)
        for w in words:
            self.assertIn(w, self.err)
        self.assertEqual(self.last(), {"X_QUEUEMGR_ERROR": self.err[len("queuemgr: ") :].strip()})

    def test_only_class(self):
        path = self.write(
            "two-parts.py",
            "import helper\nfrom queuemgr.jobs.base import QueueJobBase\n"
            "class Base(QueueJobBase):\n  def execute(self): print(helper.word, self.job_id)\n"
            "class Job(Base): pass\n",
        )
        self.write("helper.py", "word = 'hello'\n")
        self.end(self.begin(path))
        self.assertEqual((self.code, self.out), (0, "hello 7\n"), self.err)

    def test_several_classes(self):
        self.refused(JOBS, "give", f"{JOBS}:CLASS", "Success", "Raises")

    def test_unknown_class(self):
        self.refused(f"{JOBS}:Succes", "no job class Succes", "Success")

    def test_no_class(self):
        self.refused(self.write("empty.py", ""), "no subclass of QueueJobBase")

    def test_no_file(self):
        self.refused(os.path.join(self.dir, "nothing.py"), "there is no file", "nothing.py")

    def test_file_that_raises(self):
        self.end(self.begin(self.write("broken.py", "1/0\n")))
        self.assertEqual(self.code, 1)
        self.assertIn("broken.py", self.err)
        self.assertEqual(self.last(), {"X_QUEUEMGR_ERROR": "ZeroDivisionError: division by zero"})

    def test_parameters_that_are_none(self):
        path = self.write("params", "[1]")
        for text, words in (("[1]", "no JSON object"), ("{", "can't be read")):
            self.write("params", text)
            done = subprocess.run(
                [sys.executable, "-m", "queuemgr.run", f"{JOBS}:Success"],
                env={**self.env, "QUEUEMGR_PARAMS": path}, capture_output=True, text=True, timeout=LIMIT, cwd="/",
            )
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)

    def test_without_parameters(self):
        done = subprocess.run(
            [sys.executable, "-m", "queuemgr.run", os.path.join(PACKAGE, "myjob.py")],
            env=self.env, capture_output=True, text=True, timeout=LIMIT, cwd="/",
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "job 7: started with {}\njob 7: over\n")
        said = self.last()
        self.assertEqual((said["X_QUEUEMGR_PROGRESS"], said["STATUS"]), ("100", "step 5 of 5"))
        self.assertEqual(json.loads(said["X_QUEUEMGR_RESULT"])["greeting"], "Hello, world!")


if __name__ == "__main__":
    unittest.main()
