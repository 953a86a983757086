"""The documentation is correct: its code runs, its files are read, its commands work, and its links resolve."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner

from aws_bedrock_inference.cli import main
from aws_bedrock_inference.simulator.scenario import parse, read
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TRAPS = [page for page in PAGES if page.parent.name == "traps"]
# A block that starts with a comment that names its file is a separate program.
PROGRAM = re.compile(r"# (\w+\.py)\n")
# Python 3.12 and later warn of every fork with threads; the programs show the effect of a fork on the client.
FORKED = "ignore:This process:DeprecationWarning"
LANGUAGES = {"python", "toml", "console", "json", "text"}
# Pages whose reader has started `bedrock simulate`, without a scenario; the others share one with short answers.
STARTED = {"index.md", "tutorial.md", "how-do-i.md", "services.md"}
# Frameworks that a page shows and that the tests do without: their programs run where they are installed.
FRAMEWORKS = {"fastapi", "django", "celery"}

PROMPTS = '{"id": "p1", "prompt": "Why is the sky blue?"}\n{"id": "p2", "prompt": "Why is grass green?"}\n'
PROFILE = "[profile dev]\nregion = us-east-1\naws_access_key_id = any\naws_secret_access_key = any\n"
SCENARIO = 'seed = 7\n[[faults]]\nkind = "outage"\nuntil = 5\n'
LOG = "2026-11-20T03:30:00Z ERROR An error occurred (ThrottlingException) when calling the Query operation: slow down\n"


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", text, re.MULTILINE):
        line = text.count("\n", 0, found.start()) + 2
        yield Block(page, line, found[2].strip(), found[3])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def output_of(block: Block) -> re.Pattern[str] | None:
    """Return the pattern of the output that the page shows under a block, after a line that is `Output:`."""
    shown = block.page.read_text(encoding="utf-8").split("\n")[block.line - 1 + block.text.count("\n") + 1 :]
    if shown[:4] != ["", "Output:", "", "```text"]:
        return None
    # A line of its own that is `…` stands for any lines, and `…` within a line for any text.
    lines = [
        r"(?:.*\n)*?" if line == "…" else rf"{re.escape(line).replace('…', '.*')}\n"
        for line in shown[4 : shown.index("```", 4)]
    ]
    return re.compile("".join(lines))


def check_output(block: Block, printed: str) -> None:
    pattern = output_of(block)
    text = "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").split("\n"))
    assert pattern is None or pattern.fullmatch(text), f"{block.name} printed:\n{printed}"


def written_in(language: str) -> list[Any]:
    return [
        pytest.param(block, id=block.name)
        for block in BLOCKS
        if block.language == language and (language != "python" or block.page.name not in STARTED)
    ]


def commands() -> list[Any]:
    return [
        pytest.param(
            block,
            shlex.split(line[2:]),
            id=f"{block.name} {line}",
            marks=[pytest.mark.newer_botocore] if line.startswith("$ aws ") else [],
        )
        for block in BLOCKS
        if block.language == "console" and block.page.name not in STARTED
        for line in block.text.splitlines()
        if line.startswith("$ ")
    ]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with simulator(answers={"tokens": 30, "spread": 0.1}) as running:
        yield running.url


@pytest.fixture(scope="module")
def started() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


@pytest.fixture
def shell(request: pytest.FixtureRequest, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's shell in a directory with the files that the pages speak of; no way leads to AWS."""
    given = request.node.callspec.params
    page = given["page"] if "page" in given else given["block"].page
    if page.name in STARTED:
        running: Simulator = request.getfixturevalue("started")
        running.scenario()
        url = running.url
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith("127."):
            pytest.fail(f"the documentation calls {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setattr("aws_bedrock_inference.foundation.remembered._synced", {})
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK", "BEDROCK_MODEL_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_ENDPOINT_URL_BEDROCK": url,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "AWS_ACCESS_KEY_ID": "AKIDSIMULATOR",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config").write_text(PROFILE)
    (tmp_path / "prompts.jsonl").write_text(PROMPTS)
    (tmp_path / "tickets.csv").write_text("id,customer,text\n1,Ann,It is broken.\n")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "letter.txt").write_text("It is broken.")
    (tmp_path / "template.txt").write_text("Summarise: {text}")
    (tmp_path / "my-scenario.toml").write_text(SCENARIO)
    for name in ("app.log", "trace.txt"):
        (tmp_path / name).write_text(LOG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pages() -> list[Any]:
    return [
        pytest.param(
            page,
            id=str(page.relative_to(ROOT)),
            marks=[pytest.mark.newer_botocore] if "langchain_aws" in page.read_text(encoding="utf-8") else [],
        )
        for page in PAGES
        if page.name not in STARTED
    ]


@pytest.mark.parametrize("page", pages())
def test_python_blocks_run_and_print_the_shown_output(page: Path, shell: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "documentation"}
    for block in blocks_of(page):
        if block.language == "python" and not PROGRAM.match(block.text):
            run_python(block, namespace)


@pytest.mark.parametrize("block", [block for block in written_in("python") if PROGRAM.match(block.values[0].text)])
def test_programs_run_separately_and_print_the_shown_output(block: Block, shell: Path) -> None:
    run_program(block, shell)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES if page.name in STARTED])
def test_a_reader_can_follow_a_page_from_its_beginning_to_its_end(page: Path, shell: Path) -> None:
    """All blocks in one directory, in the order of the page; each block is complete."""
    for block in blocks_of(page):
        if block.language == "console":
            for line in block.text.splitlines():
                run_command(block, shlex.split(line[2:]))
        elif block.language == "python":
            if PROGRAM.match(block.text):
                run_program(block, shell)
            else:
                run_python(block, {"__name__": "documentation"})


def run_python(block: Block, namespace: dict[str, Any]) -> None:
    code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, namespace)  # noqa: S102 - what a reader would do
    missing = promised(block.text) - {*output.getvalue().splitlines()}
    assert not missing, f"{block.name} printed:\n{output.getvalue()}"
    check_output(block, output.getvalue())


def run_program(block: Block, shell: Path) -> None:
    program = shell / PROGRAM.match(block.text)[1]  # type: ignore[index]
    program.write_text(block.text)
    if any(find_spec(name) is None for name in FRAMEWORKS & {*re.findall(r"^from (\w+)", block.text, re.MULTILINE)}):
        compile(block.text, block.name, "exec")
        return
    pytest_of_it = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    how = pytest_of_it if program.name.startswith("test_") else ["-W", "error", "-W", FORKED]
    command = [sys.executable, *how, program.name]
    ended = subprocess.run(command, cwd=shell, capture_output=True, text=True, check=False)  # noqa: S603 - what a reader would do
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    assert promised(block.text) <= {*ended.stdout.splitlines()}
    check_output(block, ended.stdout)


def promised(code: str) -> set[str]:
    """Return the output that `print(...)  # text` announces; a list of words has one for each time."""
    texts: set[str] = set()
    for comment in re.findall(r"print\(.*\)  # (.*)$", code, re.MULTILINE):
        texts |= set(comment.split(", ")) if re.fullmatch(r"\w+(, \w+)+", comment) else {comment}
    return texts


@pytest.mark.parametrize("block", [param for param in written_in("python") if "def test_" in param.values[0].text])
def test_tests_in_the_pages_pass(block: Block, shell: Path) -> None:
    (shell / "test_page.py").write_text(block.text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    done = subprocess.run(command, cwd=shell, capture_output=True, text=True, check=False)  # noqa: S603 - a page of ours
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", written_in("toml"))
def test_scenarios_can_be_read(block: Block) -> None:
    read(parse(block.text))


@pytest.mark.parametrize("block", written_in("json"))
def test_json_blocks_are_json(block: Block) -> None:
    """Return one object over several lines, such as a policy, or one object for each line."""
    whole = block.text.startswith("{\n")
    for line in [block.text] if whole else block.text.splitlines():
        assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize(("block", "command"), commands())
def test_commands_in_the_documentation_work(block: Block, command: list[str], shell: Path) -> None:
    run_command(block, command)


def run_command(block: Block, command: list[str]) -> None:
    program, *arguments = command
    match program:
        case "bedrock":
            check_output(block, run_bedrock(arguments))
        case "aws":
            subprocess.run([sys.executable, "-m", "awscli", *arguments], check=True, capture_output=True)  # noqa: S603 - ours
        case "make":
            assert re.search(rf"^{arguments[0]}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case "pip":
            check_install(arguments)
        case "python":  # tests/examples runs them
            assert (ROOT / "examples") in (ROOT / arguments[0]).parents
            assert (ROOT / arguments[0]).exists()
        case _:
            pytest.fail(f"no reader can be sure of {program}: it is not tried out here")


def run_bedrock(arguments: list[str]) -> str:
    """Run a command and return what it printed, on standard output and on standard error."""
    name = arguments[0]
    if name in ("simulate", "demo"):  # these run for long; this test only checks that they accept the options
        context = main.make_context("bedrock", arguments)
        _, command, options = main.resolve_command(context, arguments)
        assert command is not None
        assert command.make_context(name, options).params is not None
        return ""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def check_install(arguments: list[str]) -> None:
    verb, target = arguments
    assert verb == "install"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert target in {".", *(f".[{extra}]" for extra in extras)}


@pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in BLOCKS])
def test_every_block_has_a_language_and_is_tested(block: Block) -> None:
    assert block.language in LANGUAGES
    if block.language == "text":
        with pytest.raises(SyntaxError):
            compile(block.text, block.name, "exec")
    if block.language == "console":
        assert all(line.startswith("$ ") for line in block.text.splitlines())


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_links_in_the_documentation_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_relative_to(ROOT)
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["architecture.md", *(f"traps/{path.name}" for path in TRAPS)])
def test_pages_about_the_code_name_only_existing_modules(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.(?:py|toml))(?:: ([\w.]+)(?:\(.*?\))?)?`", text)
    assert len(named) > 5
    for path, name in named:
        files = [*ROOT.glob(path), *(ROOT / "src").rglob(path)]
        assert len(files) > 0, path
        for part in filter(None, name.split(".")):
            assert any(re.search(rf"\b(def|class) {part}\b", file.read_text()) for file in files), (path, part)


def test_every_page_is_in_the_readme_or_in_the_reference() -> None:
    readme = PAGES[0].read_text(encoding="utf-8")
    reference = ROOT / "docs" / "reference"
    index = (reference / "index.md").read_text(encoding="utf-8")
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        if page.parent == reference and page.name != "index.md":
            assert f"({page.name})" in index
        elif page in TRAPS:
            assert f"(traps/{page.name})" in architecture
        else:
            assert f"({page.relative_to(ROOT)})" in readme


def test_pages_of_policies_have_the_same_headings() -> None:
    headings = {
        tuple(re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE))
        for page in (ROOT / "docs" / "policies").glob("*.md")
    }
    same = ("What it does", "Options", "What it refuses", "Events", "Example")
    assert {found[:5] for found in headings} == {same}
    assert {found[5:] for found in headings} == {("Anti-patterns",)}
