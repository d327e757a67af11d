"""What class files of the Python service report with."""

from __future__ import annotations

from typing import Any, Optional


def update_job_state(
    state: Any,
    status: Any = None,
    command: Any = None,
    progress: Optional[float] = None,
    description: Optional[str] = None,
    result: Any = None,
) -> None:
    """Report as job.set_progress, set_description and set_result do.

    state is the job's _shared_state. status and command are not taken: the service knows the
    state of a job by its process.
    """
    if progress is not None:
        state.set_progress(progress)
    if description is not None:
        state.set_description(description)
    if result is not None:
        state.set_result(result)
