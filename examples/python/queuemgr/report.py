"""What a job says of itself, sent to the service as datagrams of the systemd notify protocol."""

from __future__ import annotations

import json
import math
import os
import queue
import socket
import struct
import sys
import threading
from typing import Any, Mapping, Optional

MAX_TEXT = 1024  # bytes of a description or an error
MAX_RESULT = 64 << 10  # bytes of a result in a datagram
MAX_RESULT_FILE = 1 << 20  # bytes of a result at all

# Seconds between two datagrams.
INTERVAL = 0.05
# Seconds that the receiver gets to take a datagram while its queue is full.
PATIENCE = 10

# The lines that are sent; of each the newest value replaces one that was not sent yet.
_KEYS = ("STATUS", "X_QUEUEMGR_PROGRESS", "X_QUEUEMGR_RESULT", "X_QUEUEMGR_ERROR", "WATCHDOG")


class Reporter:
    """Sends reports, at most one every INTERVAL. Without a service to send to it does nothing.

    Reports may come from any thread and be broken off by an exception that a signal handler
    raises: so they take no lock. A thread of its own sends them.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        address = env.get("NOTIFY_SOCKET", "")
        if address.startswith("@"):
            address = "\0" + address[1:]
        self._address = address
        self._run_id = env.get("QUEUEMGR_RUN_ID", "")
        self._dir = env.get("QUEUEMGR_DIR", "")
        self._in_file = False
        self._complained = False
        self.undelivered: Optional[str] = None  # why a result did not arrive
        self._socket: Optional[socket.socket] = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # Not settimeout: that waits by poll, which knows nothing of a receiver's queue.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", PATIENCE, 0))
        self._pending: "dict[str, str]" = {}
        self._wake: "queue.SimpleQueue[None]" = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def start(self) -> None:
        """Begin to collect: before it, each report is sent at once."""
        if self._socket is not None and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="queuemgr-report", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Send what is left."""
        if self._thread is not None:
            self._closing.set()
            self._wake.put(None)
            self._thread.join()
            self._thread = None

    def forked(self) -> None:
        """Called in a child: the thread stayed with the parent, and so did what it has to send."""
        self._thread = None
        self._pending = {}

    def progress(self, percent: float) -> None:
        """Report 0 to 100. Raises ValueError."""
        if isinstance(percent, bool) or not isinstance(percent, (int, float)) or not 0 <= percent <= 100:
            raise ValueError(f"progress must be a number from 0 to 100, not {percent!r}")
        self._say("X_QUEUEMGR_PROGRESS", str(math.floor(percent)))

    def status(self, text: str) -> None:
        """Report a line of words."""
        self._say("STATUS", one_line(text))

    def error(self, text: str) -> None:
        """Report why the job failed."""
        self._say("X_QUEUEMGR_ERROR", one_line(text))

    def alive(self) -> None:
        """Report that the job lives."""
        self._say("WATCHDOG", "1")

    def result(self, value: Any) -> None:
        """Report the result. Raises TypeError or ValueError where it can be none."""
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            size = len(text.encode())
        except UnicodeEncodeError:  # half a surrogate pair, which only an escape can say
            text = json.dumps(value, allow_nan=False, separators=(",", ":"))
            size = len(text)
        if size > MAX_RESULT_FILE:
            raise ValueError(
                f"the result is {size} bytes long as JSON, at most {MAX_RESULT_FILE} are taken: "
                "write it to a file and make the file's path the result"
            )
        if self._socket is None:
            return
        # The file is stronger than a datagram: once there is one, a later result goes there too.
        if size > MAX_RESULT or self._in_file:
            self._pending.pop("X_QUEUEMGR_RESULT", None)
            self._write(text)
        else:
            self._say("X_QUEUEMGR_RESULT", text)

    def _write(self, text: str) -> None:
        if not self._dir:
            raise OSError(f"a result of more than {MAX_RESULT} bytes needs a folder for it, and QUEUEMGR_DIR names none")
        path = os.path.join(self._dir, "result.json")
        part = f"{path}.{os.getpid()}.{threading.get_ident()}"
        try:
            with open(part, "x", encoding="utf-8") as file:
                file.write(text)
            os.replace(part, path)
        except BaseException:
            try:
                os.unlink(part)
            except OSError:
                pass
            raise
        self._in_file = True

    def _say(self, key: str, value: str) -> None:
        if self._socket is None:
            return
        self._pending[key] = value
        if self._thread is None:
            self._send()
        elif self._wake.empty():
            self._wake.put(None)

    def _work(self) -> None:
        while not self._closing.is_set():
            self._wake.get()
            self._send()
            self._closing.wait(INTERVAL)
        self._send()

    def _send(self) -> None:
        lines = [f"X_QUEUEMGR_RUN_ID={self._run_id}"] if self._run_id else []
        known = len(lines)
        result = False
        for key in _KEYS:
            value = self._pending.pop(key, None)
            if value is not None:
                lines.append(f"{key}={value}")
                result = result or key == "X_QUEUEMGR_RESULT"
        if len(lines) == known:
            return
        assert self._socket is not None
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as err:
            why = f"a report could not be sent to the service: {err}"
            if result:
                self.undelivered = why
            if not self._complained:
                self._complained = True
                print(f"queuemgr: {why}", file=sys.stderr, flush=True)


def one_line(text: Any) -> str:
    """Return text in one line without NUL that UTF-8 can say, cut at MAX_TEXT bytes."""
    line = " ".join(str(text).replace("\0", " ").split())
    return line.encode(errors="replace")[:MAX_TEXT].decode(errors="ignore")


_current: Optional[Reporter] = None


def current() -> Reporter:
    """Return this process's reporter."""
    global _current
    if _current is None:
        _current = Reporter(os.environ)
    return _current
