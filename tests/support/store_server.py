"""A Redis or Valkey server of our own."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Server:
    """A Redis or Valkey server at a socket in `directory`, which keeps nothing when it is killed."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.socket = directory / "socket"
        self.url = f"unix://{self.socket}"
        self.options = options
        self.start()

    def start(self) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program, "These tests start redis-server or valkey-server: install one of them"
        command = [program, "--port", "0", "--unixsocket", str(self.socket), "--save", "", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - found above
        self.wait_for("ready to accept connections")

    def wait_for(self, said: str) -> None:
        assert self.process.stdout
        assert any(said in line.lower() for line in self.process.stdout), f"The server has ended without: {said}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()
        self.socket.unlink(missing_ok=True)
