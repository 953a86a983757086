"""The shell completes commands, options and choices, by the lines that docs/cli.md gives for bash, zsh and fish."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
BEDROCK = [sys.executable, "-m", "aws_bedrock_inference"]


def completed(instruction: str, words: str = "") -> str:
    position = words.rsplit(" ", maxsplit=1)[-1] if instruction.startswith("fish") else str(words.count(" "))
    environment = {"_BEDROCK_COMPLETE": instruction, "COMP_WORDS": words, "COMP_CWORD": position}
    done = subprocess.run(BEDROCK, env=os.environ | environment, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("bedrock ex", {"explain"}),
        ("bedrock job c", {"cancel", "create"}),
        ("bedrock run --order ", {"arrival", "input"}),
        ("bedrock run --mo", {"--model"}),
    ],
)
def test_each_shell_completes_commands_options_and_choices(shell: str, words: str, expected: set[str]) -> None:
    found = set(re.split(r"[,\s]", completed(f"{shell}_complete", words)))
    assert expected <= found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_is_accepted_by_the_shell(shell: str) -> None:
    """zsh and fish are tried where they are installed; bash is on every machine that runs `make`."""
    assert f"_BEDROCK_COMPLETE={shell}_source bedrock" in PAGE.read_text(encoding="utf-8")
    script = completed(f"{shell}_source")
    assert "_bedrock_completion" in script
    if program := shutil.which(shell):
        options = ["--no-execute"] if shell == "fish" else ["-n"]
        subprocess.run([program, *options], input=script, text=True, check=True)  # noqa: S603 - a shell on the path
