"""The dead-letter example stores failed calls, and sends them again after the outage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_bedrock_inference.testing import Simulator


def test_dead_letters_are_sent_again_after_the_outage(run: Any, bedrock_simulator: Simulator) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "error", "code": "InternalServerException"}])
    code, out, err = run("dead_letters.py", "ask", "Why is the sky blue?")
    assert (code, out) == (1, "")
    assert "InternalServerException; stored as " in err
    code, out, err = run("dead_letters.py", "redrive")
    assert (code, "1 failed again" in err) == (1, True)
    bedrock_simulator.scenario()
    code, out, err = run("dead_letters.py", "redrive")
    assert code == 0
    assert "1 answered, 0 failed again, 0 refused" in err
    assert len(out) > 50
