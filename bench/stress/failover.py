"""Let two Redis servers behind one address exchange their roles. After that, the processes of a shared quota must share
it through the new primary.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import redis

from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores import ShareStore, StoreUnavailable, open_store

TURNS, HEALED = 20, 5.0


class Door:
    """An address that leads to the current primary server. Open connections remain with their server."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            behind = socket.socket(socket.AF_UNIX)
            behind.connect(str(self.target))
            for source, sink in ((client, behind), (behind, client)):
                threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def launch(place: Path, port: int) -> subprocess.Popen[bytes]:
    name = shutil.which("redis-server") or shutil.which("valkey-server")
    if name is None:
        raise SystemExit("this story needs redis-server or valkey-server")
    command = [name, "--port", str(port), "--unixsocket", str(place), "--save", "", "--appendonly", "no"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def ready(place: Path) -> redis.Redis:
    client = redis.Redis(unix_socket_path=str(place))
    while True:
        with suppress(redis.RedisError):
            client.ping()
            return client
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        places, ports = [Path(directory) / "a", Path(directory) / "b"], [free_port(), free_port()]
        servers = [launch(place, port) for place, port in zip(places, ports, strict=True)]
        try:
            healed = turns(places, ports)
        finally:
            for server in servers:
                server.kill()
                server.wait()
    wrong = sum(seconds > HEALED for seconds in healed)
    print(json.dumps({"trials": TURNS, "wrong": wrong, "detail": f"shared again after at most {max(healed):.1f} s"}))


def turns(places: list[Path], ports: list[int]) -> list[float]:
    clients, door = [ready(place) for place in places], Door(places[0])
    store, healed = open_store(f"redis://127.0.0.1:{door.port}"), []
    for turn in range(TURNS):
        primary, other = turn % 2, 1 - turn % 2
        store.renew("p", "a", LeaseRequest(0.5, ((1.0, 0.5, 1.0),))).run()
        clients[other].slaveof()
        clients[primary].slaveof("127.0.0.1", ports[other])
        door.target = places[other]
        healed.append(heal(store))
    return healed


def heal(store: ShareStore) -> float:
    started = time.monotonic()
    while time.monotonic() < started + 2 * HEALED:
        with suppress(StoreUnavailable):
            store.renew("p", "a", LeaseRequest(0.5, ((1.0, 0.5, 1.0),))).run()
            break
        time.sleep(0.1)
    return time.monotonic() - started


if __name__ == "__main__":
    main()
