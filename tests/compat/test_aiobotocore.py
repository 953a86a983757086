"""aiobotocore, unmodified, against the simulator, in the environment that `make test` prepares for it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def test_aiobotocore_reads_answers_streams_errors_and_tool_calls(endpoint: Any) -> None:
    python = ROOT / ".venv-peers" / "bin" / "python"
    assert python.exists(), "run `make .venv-peers/.ready` first, as `make test` does"
    script = Path(__file__).with_name("aiobotocore_client.py")
    done = subprocess.run([python, script], capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert done.returncode == 0, done.stderr
    whole, streamed, errors, used = json.loads(done.stdout)
    assert whole == streamed
    assert used == ["weather", "clock"]
    assert errors == [
        "The provided model identifier is invalid.",
        "This action doesn't support the model that you provided. Try again with a supported text or chat model.",
    ]
