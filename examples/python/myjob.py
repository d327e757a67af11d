"""The example job of the Python service: its five methods, with work that can be watched."""

import time

from queuemgr.jobs.base import QueueJobBase


class MyJob(QueueJobBase):
    def __init__(self, job_id: str, params: dict):
        super().__init__(job_id, params)
        self.steps = params.get("steps", 5)

    def execute(self) -> None:
        for step in range(1, self.steps + 1):
            time.sleep(self.params.get("seconds", 0.2))
            self.set_description(f"step {step} of {self.steps}")
            self.set_progress(100 * step / self.steps)
        self.set_result({"status": "completed", "steps": self.steps, "greeting": f"Hello, {self.params.get('name', 'world')}!"})

    def on_start(self) -> None:
        print(f"job {self.job_id}: started with {self.params}", flush=True)

    def on_stop(self) -> None:
        print(f"job {self.job_id}: told to stop", flush=True)

    def on_end(self) -> None:
        print(f"job {self.job_id}: over", flush=True)

    def on_error(self, exc: Exception) -> None:
        print(f"job {self.job_id}: failed: {exc}", flush=True)
