"""Reset a connection. granian has no function for this. Therefore the module finds the socket of the connection among
all sockets of this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import stat
import struct
import sys
from pathlib import Path

_NO_FAMILY = struct.pack("=H14x", socket.AF_UNSPEC)


def reset(client: str) -> None:
    """Reset the connection to `client` (`host:port`) immediately. The client receives RST, even if the server would
    still write to the connection.
    """
    host, _, port = client.rpartition(":")
    peer = (host.strip("[]"), int(port))
    for entry in list(Path("/dev/fd").iterdir()):
        with contextlib.suppress(OSError):  # closed in the meantime
            if stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                with socket.socket(fileno=os.dup(int(entry.name))) as candidate:
                    if candidate.family in {socket.AF_INET, socket.AF_INET6} and candidate.getpeername()[:2] == peer:
                        _break(candidate)
                        return


def _break(connection: socket.socket) -> None:
    """Send RST on a socket.

    On Linux, `connect` with the address family AF_UNSPEC sends RST. On other systems, a shutdown with a linger time of
    0 sends it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).connect(connection.fileno(), _NO_FAMILY, len(_NO_FAMILY))
    else:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
