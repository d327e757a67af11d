"""Uses the client with a real service: QUEUEMGR_TEST_HOME is its home, QUEUEMGR_TEST_PROGRAM the program that serves it.

The service must listen on a port of loopback, too. The test restarts it.
"""

import json
import os
import subprocess
import sys
import threading
import unittest

from queuemgr import client
from queuemgr.client import Client

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(HERE)
HOME = os.environ.get("QUEUEMGR_TEST_HOME", "")
PROGRAM = os.environ.get("QUEUEMGR_TEST_PROGRAM", "")
LIMIT = 60  # seconds; whatever takes longer hangs


def cli(*args):
    """Run the command line in the home and return what it printed."""
    return subprocess.run(
        [PROGRAM, *args], env={**os.environ, "QUEUEMGR_HOME": HOME}, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True
    ).stdout


@unittest.skipUnless(HOME and PROGRAM, "QUEUEMGR_TEST_HOME and QUEUEMGR_TEST_PROGRAM name no service")
class ClientTest(unittest.TestCase):
    def setUp(self):
        self.client = Client(socket=os.path.join(HOME, "run/queuemgr.sock"))

    def ended(self, job, state, **fields):
        job = self.client.wait(job["id"], timeout=LIMIT)
        self.assertEqual({"state": job["state"], **{k: job.get(k) for k in fields}}, {"state": state, **fields})
        return job

    def run_my_job(self, **more):
        return self.client.add(
            [sys.executable, "-m", "queuemgr.run", os.path.join(PACKAGE, "myjob.py")], env={"PYTHONPATH": PACKAGE}, **more
        )

    def test_default_socket(self):
        before = os.environ.get("QUEUEMGR_HOME")
        os.environ["QUEUEMGR_HOME"] = HOME
        try:
            self.assertEqual(Client().get(self.client.add(["true"])["id"])["command"], ["true"])
        finally:
            del os.environ["QUEUEMGR_HOME"]
            if before is not None:
                os.environ["QUEUEMGR_HOME"] = before

    def test_add_get_logs(self):
        job = self.client.add(["echo", "grüße"], name="greeting", key="py-greeting", tags=["python"])
        self.ended(job, "completed", exit_code=0, name="greeting")
        self.assertEqual(self.client.get("py-greeting")["id"], job["id"])
        self.assertEqual(self.client.logs(job["id"]), "grüße\n".encode())
        self.assertEqual([j["id"] for j in self.client.list(tag="python")], [job["id"]])

    def test_logs_of_a_stream_and_its_tail(self):
        job = self.client.add(shell="echo one; echo two; echo other >&2", split=True)
        self.ended(job, "completed")
        self.assertEqual(self.client.logs(job["id"], stream="stdout", tail=1), b"two\n")
        self.assertEqual(self.client.logs(job["id"], stream="stderr"), b"other\n")

    def test_follow(self):
        job = self.client.add(shell="echo begun; read line < fifo; echo $line", cwd=self.fifo())
        parts = self.client.follow(job["id"])
        self.assertEqual(next(parts), b"begun\n")
        with open(os.path.join(job["cwd"], "fifo"), "w") as fifo:
            fifo.write("went on\n")
        self.assertEqual(b"".join(parts), b"went on\n")
        self.ended(job, "completed")

    def fifo(self):
        folder = os.path.join(HOME, self.id())
        os.mkdir(folder)
        os.mkfifo(os.path.join(folder, "fifo"))
        return folder

    def test_job_class_to_its_end(self):
        job = self.run_my_job()
        self.ended(job, "completed", exit_code=0)
        self.assertEqual(self.client.logs(job["id"]).decode(), f"job {job['id']}: started with {{}}\njob {job['id']}: over\n")

    def test_job_class_is_stopped(self):
        job = self.client.add(
            [sys.executable, "-m", "queuemgr.run", os.path.join(HERE, "jobs.py") + ":Waits"],
            env={"PYTHONPATH": PACKAGE},
            params={"trace": os.path.join(HOME, self.id())},
        )
        self.assertEqual(next(self.client.follow(job["id"])), b"ready\n")
        self.client.stop(job["id"])
        self.ended(job, "stopped", reason="user", signal=15)
        with open(os.path.join(HOME, self.id())) as file:
            self.assertEqual(file.read().split(), ["init", "on_start", "execute", "on_stop", "on_end"])

    def test_job_class_fails(self):
        job = self.client.add(
            [sys.executable, "-m", "queuemgr.run", os.path.join(HERE, "jobs.py") + ":Raises"],
            env={"PYTHONPATH": PACKAGE},
            params={"trace": os.path.join(HOME, self.id())},
        )
        self.ended(job, "failed", reason="exit", exit_code=1)
        self.assertIn(b"ValueError: no good", self.client.logs(job["id"]))

    def test_stop_by_force(self):
        job = self.client.add(shell="trap '' TERM; echo ready; while :; do sleep 1; done", grace=600)
        next(self.client.follow(job["id"]))
        self.client.stop(job["id"], grace=0)
        self.ended(job, "stopped", signal=9)
        self.client.start(job["id"])
        next(self.client.follow(job["id"]))
        self.client.stop(job["id"], force=True)
        self.ended(job, "stopped", signal=9, attempt=2)

    def test_delete(self):
        job = self.client.add(["sleep", "600"])
        self.client.delete(job["id"], force=True)
        self.assertEqual(self.client.wait(job["id"], timeout=LIMIT)["state"], "deleted")

    def test_wait_for_too_long(self):
        job = self.client.add(["sleep", "600"])
        with self.assertRaisesRegex(TimeoutError, f"job {job['id']} is (queued|starting|running) after 0.1 s"):
            self.client.wait(job["id"], timeout=0.1)
        self.client.stop(job["id"])

    def test_watch(self):
        job = self.client.add(["sleep", "600"], hold=True)
        states = []
        for state in self.client.watch(job["id"]):
            states.append(state["state"])
            self.assertEqual(state["id"], job["id"])
            if state["state"] == "held":
                self.client.start(job["id"])
            elif state["state"] == "running":
                self.client.stop(job["id"])
        self.assertEqual((states[0], states[-1]), ("held", "stopped"))
        self.assertIn("running", states)
        self.assertEqual([s["state"] for s in self.client.watch(job["id"])], ["stopped"])

    def test_events(self):
        events = self.client.events(queue="python")
        ids = []
        subprocess.run([PROGRAM, "queue", "add", "python"], env={**os.environ, "QUEUEMGR_HOME": HOME}, check=True, stdout=subprocess.DEVNULL)
        for _ in range(3):
            ids.append(self.client.add(["true"], queue="python")["id"])
        seen, last = [], 0
        for change in events:
            self.assertGreater(change["seq"], last)
            last = change["seq"]
            if change["change"] == "added":
                seen.append(change["id"])
                if len(seen) == 3:
                    break
        self.assertEqual(seen, ids)

    def test_errors_are_the_services(self):
        with self.assertRaises(client.NotFound) as caught:
            self.client.get(999_999_999)
        self.assertEqual((caught.exception.code, caught.exception.status), ("not_found", 404))
        self.assertIn("999999999", str(caught.exception))
        with self.assertRaises(client.Invalid) as caught:
            self.client.add(["true"], timeout=-1)
        self.assertEqual((caught.exception.field, caught.exception.status), ("timeout", 422))
        job = self.client.add(["true"])
        self.ended(job, "completed")
        with self.assertRaises(client.WrongState) as caught:
            self.client.stop(job["id"])
        self.assertTrue(caught.exception.detail)
        with self.assertRaises(TypeError):
            self.client.add("true")

    def test_no_service(self):
        with self.assertRaises(client.Unavailable) as caught:
            Client(socket=os.path.join(HOME, "nobody.sock")).get(1)
        self.assertIn("nobody.sock", str(caught.exception))
        self.assertIn("queuemgr service start", caught.exception.hint)

    def test_over_tcp_with_a_token(self):
        url = json.loads(cli("service", "status", "--json"))["web"]["url"]
        token = cli("token", "add", "-q", "python", "--role", "operator").strip()
        remote = Client(url=url, token=token)
        job = remote.add(["echo", "by tcp"])
        self.assertEqual([s for s in remote.watch(job["id"])][-1]["state"], "completed")
        self.assertEqual(remote.logs(job["id"]), b"by tcp\n")
        for wrong in (None, "qm_wrong"):
            with self.assertRaises(client.Forbidden) as caught:
                Client(url=url, token=wrong).get(job["id"])
            self.assertEqual((caught.exception.code, caught.exception.status), ("unauthenticated", 401))

    def test_restart_of_the_service(self):
        job = self.client.add(shell="read line < fifo", cwd=self.fifo())
        watched, waited = [], []
        begun = threading.Event()

        def watch():
            for state in self.client.watch(job["id"]):
                watched.append(state["state"])
                if state["state"] == "running":
                    begun.set()

        threads = [threading.Thread(target=watch), threading.Thread(target=lambda: waited.append(self.client.wait(job["id"], LIMIT)))]
        for t in threads:
            t.start()
        self.assertTrue(begun.wait(LIMIT))
        cli("daemon", "restart")
        with open(os.path.join(job["cwd"], "fifo"), "w") as fifo:
            fifo.write("\n")
        for t in threads:
            t.join(LIMIT)
        self.assertEqual((watched[-1], [j["state"] for j in waited]), ("completed", ["completed"]))
        self.assertEqual(watched.count("completed"), 1)


if __name__ == "__main__":
    unittest.main()
