"""A client of the queuemgr service: adds jobs, watches and stops them.

    from queuemgr.client import Client

    client = Client()
    job = client.add(type="myjob", params={"name": "Ada"})
    for state in client.watch(job["id"]):
        print(state["state"], state.get("progress"), state.get("status_text"))

Jobs are dictionaries as `queuemgr job status --json` prints them. Every error is an Error, or an
OSError of the connection within an Unavailable.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
from typing import Any, Iterator, Optional, Sequence, Union
from urllib.parse import quote, urlencode, urlsplit

ENDED = frozenset(("completed", "failed", "stopped", "skipped", "deleted"))

JobID = Union[int, str]  # a job's number or its key


class Error(Exception):
    """What the service refused, in its own words: detail, and hint what to do next."""

    def __init__(self, detail: str, hint: str = "", code: str = "internal", field: str = "", status: int = 0) -> None:
        super().__init__(f"{detail} ({hint})" if hint else detail)
        self.detail = detail
        self.hint = hint
        self.code = code  # class of the error, as /api/openapi.json lists them
        self.field = field  # of what was sent: where it is wrong
        self.status = status  # of HTTP; 0 = there was no answer


class Invalid(Error):
    """What was asked for can't be; field says where."""


class NotFound(Error):
    """There is no such job, queue or type."""


class WrongState(Error):
    """The job is in no state for this."""


class Forbidden(Error):
    """Not allowed, or not logged in."""


class Unavailable(Error):
    """The service does not answer, or not now."""


_KINDS = {
    "invalid": Invalid,
    "not_found": NotFound,
    "wrong_state": WrongState,
    "forbidden": Forbidden,
    "unauthenticated": Forbidden,
    "throttled": Unavailable,
    "unavailable": Unavailable,
}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: Optional[float]) -> None:
        super().__init__("queuemgr", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """Talks to one service. Each request has a connection of its own: threads may share a client.

    Without url it is the service that the command line would speak to, by its unix socket: that
    of QUEUEMGR_HOME, the system's, or the user's own. url, like "http://127.0.0.1:5000", goes over
    TCP and needs a token (`queuemgr token add`). tls is for an https url whose certificate is one
    of the service's own: ssl.create_default_context(cafile=…). timeout is how many seconds the
    service may be silent before that is an error.
    """

    def __init__(
        self,
        socket: Optional[str] = None,
        url: Optional[str] = None,
        token: Optional[str] = None,
        tls: Optional[ssl.SSLContext] = None,
        timeout: float = 30,
    ) -> None:
        if url is not None and urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"url must begin with http:// or https://, not {url!r}")
        self._url = urlsplit(url) if url is not None else None
        self._socket = socket or default_socket()
        self._token = token
        self._tls = tls
        self._timeout = timeout

    def add(
        self,
        command: Optional[Sequence[str]] = None,
        *,
        shell: Optional[str] = None,
        type: Optional[str] = None,
        params: Optional[dict] = None,
        **spec: Any,
    ) -> "dict[str, Any]":
        """Add a job and return it: a command (program and arguments), a shell script, or a type with its parameters.

        spec are other fields of a job: queue, name, key, priority, timeout, cwd, env, tags, …
        """
        if isinstance(command, str):
            raise TypeError("command is a list, program and arguments; a line for the shell is shell=…")
        if command is not None:
            spec["command"] = list(command)
        for name, value in (("shell", shell), ("type", type), ("params", params)):
            if value is not None:
                spec[name] = value
        return self._ask("POST", "/api/jobs", spec)

    def get(self, job: JobID) -> "dict[str, Any]":
        """Return a job as it is now."""
        return self._ask("GET", _path(job))

    def list(self, **filters: Any) -> "list[dict[str, Any]]":
        """Return jobs, newest first: filters as GET /api/jobs has them (state="failed", queue=…, limit=…)."""
        return self._ask("GET", "/api/jobs?" + urlencode(filters))["jobs"]

    def wait(self, job: JobID, timeout: Optional[float] = None) -> "dict[str, Any]":
        """Wait for a job's end and return the job.

        After timeout seconds TimeoutError is raised. A service that goes away meanwhile, to be
        restarted, is waited for.
        """
        until = None if timeout is None else time.monotonic() + timeout
        state = self.get(job)
        pause = 0.0
        while state["state"] not in ENDED:
            left = 60.0 if until is None else min(60.0, until - time.monotonic())
            if left <= 0:
                raise TimeoutError(f"job {job} is {state['state']} after {timeout} s")
            try:
                # Where the service was away, what is answered at once comes first.
                seconds = 0.0 if pause else left
                state = self._ask("GET", f"{_path(job)}?wait={seconds:g}", timeout=self._timeout + seconds)
                pause = 0.0
            except Unavailable:
                pause = min(max(2 * pause, 0.02), 2.0)
                time.sleep(min(pause, left))
        return state

    def logs(self, job: JobID, *, stream: Optional[str] = None, tail: Optional[int] = None) -> bytes:
        """Return what a job has written; of one that was added with split, stream is "stdout" or "stderr"."""
        with self._open("GET", self._log_path(job, stream, tail)) as answer:
            return answer.read()

    def follow(self, job: JobID, *, stream: Optional[str] = None, tail: Optional[int] = None) -> "Iterator[bytes]":
        """Yield what a job writes, as it does, until it has ended."""
        with self._open("GET", self._log_path(job, stream, tail, follow="true"), timeout=None) as answer:
            while True:
                part = answer.read1(1 << 16)
                if not part:
                    return
                yield part

    def start(self, job: JobID) -> "dict[str, Any]":
        """Start a held job, or run one again that has ended."""
        return self._ask("POST", _path(job) + "/start")

    def stop(self, job: JobID, *, grace: Optional[float] = None, force: bool = False) -> "dict[str, Any]":
        """Stop a job. It returns at once: wait tells when the job has ended.

        grace is how many seconds it gets to end by itself, instead of its own; force gives it none.
        """
        options: "dict[str, Any]" = {}
        if grace is not None:
            options["grace"] = grace
        if force:
            options["force"] = True
        return self._ask("POST", _path(job) + "/stop", options)

    def delete(self, job: JobID, *, force: bool = False) -> "dict[str, Any]":
        """Delete a job, stopping it first."""
        return self._ask("DELETE", _path(job) + ("?force=true" if force else ""))

    def events(
        self, *, after: Optional[int] = None, jobs: Sequence[int] = (), queue: Optional[str] = None
    ) -> "Iterator[dict[str, Any]]":
        """Yield every change as it happens: the job as it is then, with seq, at and change.

        after is the seq to begin behind; without it only what happens from now on is told. A
        connection that breaks is made again and goes on where it was, so that nothing is missed
        or comes twice. Where changes are asked for that are no longer kept, Error is raised, its
        code "exhausted".
        """
        if after is None:
            after = self._ask("GET", "/api/status")["seq"]
        return self._events(after, jobs, queue)

    def watch(self, job: JobID) -> "Iterator[dict[str, Any]]":
        """Yield a job as it is, and again with each change of it, its progress included, until it has ended."""
        while True:
            seq = self._ask("GET", "/api/status")["seq"]
            state = self.get(job)
            yield state
            if state["state"] in ENDED:
                return
            try:
                for change in self._events(seq, [state["id"]], None):
                    if change["change"] == "purged":
                        raise NotFound(f"job {job} is no longer on record", code="not_found")
                    yield {k: v for k, v in change.items() if k not in ("seq", "at", "change")}
                    if change["state"] in ENDED:
                        return
            except Error as err:
                if err.code != "exhausted":
                    raise

    def _events(self, after: int, jobs: Sequence[int], queue: Optional[str]) -> "Iterator[dict[str, Any]]":
        query: "dict[str, Any]" = {}
        if jobs:
            query["job"] = ",".join(map(str, jobs))
        if queue is not None:
            query["queue"] = queue
        pause = 0.0
        reached = False
        while True:
            query["after"] = after
            try:
                with self._open("GET", "/api/events?" + urlencode(query)) as answer:
                    reached, pause = True, 0.0
                    for kind, seq, data in _events_of(answer):
                        if kind == "resync":
                            problem = json.loads(data)
                            raise Error(problem.get("detail", ""), problem.get("hint", ""), "exhausted")
                        if data:
                            yield json.loads(data)
                        if seq is not None:
                            after = seq
            except (Unavailable, OSError, http.client.HTTPException):
                if not reached:
                    raise
            # The stream ended: the service is away, or has dropped a slow reader.
            pause = min(max(2 * pause, 0.02), 2.0)
            time.sleep(pause)

    def _log_path(self, job: JobID, stream: Optional[str], tail: Optional[int], **more: Any) -> str:
        for name, value in (("stream", stream), ("tail", tail)):
            if value is not None:
                more[name] = value
        return _path(job) + "/logs?" + urlencode(more)

    def _ask(self, method: str, path: str, body: Any = None, timeout: Optional[float] = -1) -> Any:
        with self._open(method, path, body, timeout) as answer:
            try:
                return json.load(answer)
            except (OSError, http.client.HTTPException) as err:
                raise self._went_away(method) from err

    def _open(self, method: str, path: str, body: Any = None, timeout: Optional[float] = -1) -> "_Answer":
        if timeout == -1:
            timeout = self._timeout
        connection = self._connection(timeout)
        headers = {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        content = None
        if body is not None:
            content = json.dumps(body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.connect()
        except OSError as err:
            connection.close()
            where = self._socket if self._url is None else self._url.geturl()
            if isinstance(err, PermissionError):
                raise Forbidden(f"you may not use the daemon at {where}", "the system service is for members of group queuemgr", "forbidden") from err
            if isinstance(err, ssl.SSLError):
                raise Unavailable(f"no safe connection to the daemon at {where}: {err}", "give the service's own certificate with tls=", "unavailable") from err
            raise Unavailable(f"no daemon answers at {where}: {err}", "start it: queuemgr service start", "unavailable") from err
        try:
            below = "" if self._url is None else self._url.path.rstrip("/")
            connection.request(method, below + path, content, headers)
            answer = connection.getresponse()
            if answer.status // 100 != 2:
                raise _problem(answer)
        except (OSError, http.client.HTTPException) as err:
            connection.close()
            raise self._went_away(method) from err
        except Error:
            connection.close()
            raise
        return _Answer(connection, answer)

    def _went_away(self, method: str) -> Unavailable:
        hint = "try again" if method == "GET" else "it may have done what was asked: look before you ask again"
        return Unavailable("the daemon went away before it answered", hint, "unavailable")

    def _connection(self, timeout: Optional[float]) -> http.client.HTTPConnection:
        if self._url is None:
            return _UnixConnection(self._socket, timeout)
        host = self._url.hostname or ""
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, self._url.port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(host, self._url.port, timeout=timeout)


class _Answer:
    """An answer whose connection ends with it."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._answer = answer

    def __enter__(self) -> http.client.HTTPResponse:
        return self._answer

    def __exit__(self, *_: Any) -> None:
        self._answer.close()
        self._connection.close()


def default_socket() -> str:
    """Return the socket of the service that the command line would speak to."""
    home = os.environ.get("QUEUEMGR_HOME")
    if not home:
        if os.path.exists("/etc/queuemgr/config.toml"):
            return "/run/queuemgr/queuemgr.sock"
        data = os.environ.get("XDG_DATA_HOME", "")
        if not os.path.isabs(data):
            data = os.path.join(os.path.expanduser("~"), ".local/share")
        home = os.path.join(data, "queuemgr")
    return os.path.join(os.path.abspath(home), "run/queuemgr.sock")


def _path(job: JobID) -> str:
    return "/api/jobs/" + quote(str(job), safe="")


def _problem(answer: http.client.HTTPResponse) -> Error:
    text = answer.read(1 << 20)
    try:
        problem = json.loads(text)
        code = problem["code"]
        detail = problem["detail"]
    except (ValueError, KeyError, TypeError):
        return Error(f"the answer is none of a queuemgr daemon: {answer.status} {answer.reason}", "look what listens at that address", status=answer.status)
    return _KINDS.get(code, Error)(detail, problem.get("hint", ""), code, problem.get("field", ""), answer.status)


def _events_of(answer: http.client.HTTPResponse) -> "Iterator[tuple[str, Optional[int], str]]":
    """Yield name, id and data of the events of a stream."""
    name, seq, data = "", None, []
    for raw in answer:
        line = raw.decode().rstrip("\r\n")
        if not line:
            if seq is not None or data:
                yield name, seq, "\n".join(data)
            name, seq, data = "", None, []
            continue
        key, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if key == "event":
            name = value
        elif key == "id":
            seq = int(value)
        elif key == "data":
            data.append(value)
