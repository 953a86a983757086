"""The input of a run: every form of input becomes records with an ID, a file and a line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.batch import pieces
from aws_bedrock_inference.batch.inputs import open_input
from aws_bedrock_inference.batch.records import BadLine, Record
from aws_bedrock_inference.batch.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINES = b'{"id": "p1", "prompt": "Hello"}\n{"id": "p2", "prompt": "Ho"}\n'


def read(path: Path, template: str | None = None) -> list[Record | BadLine]:
    return list(open_input(path, template=Template(template) if template else None))


def sources(path: Path, template: str | None = None) -> list[dict[str, Any]]:
    found = read(path, template)
    assert all(isinstance(item, Record) for item in found), found
    return [item.source for item in found if isinstance(item, Record)]


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, zstandard.ZstdCompressor().compress, bz2.compress, lzma.compress],
    ids=["gz", "zst", "bz2", "xz"],
)
def test_compressed_lines_are_read_whatever_their_name(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "prompts"
    path.write_bytes(pack(LINES))
    assert [item.key for item in read(path) if isinstance(item, Record)] == ["p1", "p2"]


def test_a_truncated_compressed_file_is_read_up_to_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "prompts.gz"
    path.write_bytes(gzip.compress(LINES)[:-4])
    found = open_input(path)
    assert isinstance(next(found), Record)
    assert isinstance(next(found), Record)
    with pytest.raises(OSError, match=r"prompts\.gz: the compressed data is truncated or damaged"):
        next(found)


def test_a_record_knows_its_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b"\n" + LINES)
    assert [(item.file, item.number) for item in read(path)] == [(str(path), 2), (str(path), 3)]


def test_a_line_that_is_too_long_uses_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LONGEST_LINE", 1000)
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b'{"id": "p0", "prompt": "' + b"x" * 3_000_000 + b'"}\n' + LINES)
    long, *others = read(path)
    assert isinstance(long, BadLine)
    assert "longer than 1,000 bytes" in long.problem
    assert sum(isinstance(item, Record) for item in others) == 2


@given(
    content=st.text("ab\n", max_size=60).map(str.encode), cuts=st.lists(st.integers(0, 60)), longest=st.integers(1, 20)
)
def test_lines_do_not_depend_on_how_the_bytes_are_cut(content: bytes, cuts: list[int], longest: int) -> None:
    places = sorted({0, *cuts, len(content)})
    blocks = [content[start:end] for start, end in pairwise(places)]
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "LONGEST_LINE", longest)
        found = list(pieces.bounded_lines(blocks))
    assert found == [line[: longest + 1] for line in lines]


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"Dear all,\nhow are you?\n"])
def test_a_text_without_records_is_refused_with_what_a_table_needs(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "prompts"
    path.write_bytes(content)
    assert ["If this is CSV, the first line must name the columns" in str(item) for item in read(path)] == [True, False]


class TestTemplates:
    def test_a_template_fills_in_the_fields_of_each_object(self, tmp_path: Path) -> None:
        path = tmp_path / "prompts.jsonl"
        path.write_text(json.dumps({"id": 1, "text": "{x}", "n": 3, "tags": ["a"], "none": None, "max_tokens": 9}))
        (source,) = sources(path, "{{Say}} {text} {n} {tags}{none}.")
        assert source == {"id": 1, "max_tokens": 9, "prompt": '{Say} {x} 3 ["a"].'}

    def test_a_record_with_a_prompt_ignores_the_template_so_that_failures_can_be_rerun(self, tmp_path: Path) -> None:
        path = tmp_path / "answers.jsonl.failed.jsonl"
        path.write_text('{"id": 1, "prompt": "Say a", "error": {"code": "ThrottlingException"}}')
        assert sources(path, "Say {text}") == [{"id": 1, "prompt": "Say a"}]

    @pytest.mark.parametrize(
        "names", ["subject,body", "url,body", "custom_id,url", "modelId,text", "error,model", "tools,max_tokens"]
    )
    def test_a_field_may_have_any_name(self, names: str, tmp_path: Path) -> None:
        first, second = names.split(",")
        template = f"Say {{{first}}} {{{second}}}"
        table = tmp_path / "data.csv"
        table.write_text(f"id,{names}\n1,a,b\n")
        objects = tmp_path / "data.jsonl"
        objects.write_text(json.dumps({"id": "1", first: "a", second: "b"}))
        assert sources(table, template) == sources(objects, template) == [{"id": "1", "prompt": "Say a b"}]

    def test_a_field_that_the_template_uses_is_data_whatever_its_name(self, tmp_path: Path) -> None:
        path = tmp_path / "prompts.jsonl"
        path.write_text('{"id": 1, "error": "AccessDenied", "system": "linux"}')
        assert sources(path, "Explain {error} on {system}") == [{"id": 1, "prompt": "Explain AccessDenied on linux"}]

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ('{"id": 1}', 'the field "text" is missing, but the template uses it'),
            ('{"id": 1, "text": " "}', 'are blank: "text"'),
            ('{"id": 1, "text": "a", "max_token": 4}', 'Did you mean "max_tokens"?'),
            ('{"id": 1, "text": "a", "model": "x"}', '"model" is set on the command line for all records (--model)'),
            ('{"text": "a"}', '"id" is missing'),
        ],
    )
    def test_a_record_that_does_not_fit_the_template_is_refused(self, line: str, says: str, tmp_path: Path) -> None:
        path = tmp_path / "prompts.jsonl"
        path.write_text(line)
        (bad,) = read(path, "Say {text}")
        assert isinstance(bad, BadLine)
        assert says in bad.problem

    @pytest.mark.parametrize(
        "text", ["x", "{", "}", "{}", "{a!r}", "{a:>3}", "{{a}}", '{"a": {b}}', "{a:{b}}", "{0"], ids=repr
    )
    def test_an_invalid_template_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"template .* Write a template such as"):
            Template(text)

    def test_a_template_that_is_not_valid_utf_8_is_refused(self) -> None:
        with pytest.raises(ValueError, match="not valid UTF-8"):
            Template("\udce9 {a}")

    def test_data_is_never_evaluated(self) -> None:
        template = Template("{a.__class__} {b[0]}")
        assert template.prompt({"a.__class__": "{c}", "b[0]": "y"}) == "{c} y"


class TestDirectories:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "texts"
        (folder / "more").mkdir(parents=True)
        (folder / "b.txt").write_bytes(b"\xef\xbb\xbfsecond")
        (folder / "a.md").write_text("first")
        (folder / "more" / "c.txt").write_text("third")
        (folder / ".hidden").write_text("no")
        (folder / ".git").mkdir()
        (folder / ".git" / "config").write_text("no")
        return folder

    def test_each_file_of_a_directory_is_a_record_named_by_its_path(self, folder: Path) -> None:
        assert sources(folder, "Summarise {name}: {text}") == [
            {"id": "a.md", "prompt": "Summarise a.md: first"},
            {"id": "b.txt", "prompt": "Summarise b.txt: second"},
            {"id": "more/c.txt", "prompt": "Summarise c.txt: third"},
        ]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"caf\xe9", "byte 4 is not UTF-8"),
            (b" \n", "the file contains no text"),
            (b"x" * 101, "the text of the record is longer than 100 bytes"),
        ],
    )
    def test_a_binary_file_is_refused_by_name(
        self, content: bytes, says: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pieces, "LONGEST_LINE", 100)
        (folder / "a.md").write_bytes(content)
        bad, *others = read(folder, "Summarise: {text}")
        assert str(bad).startswith(f"{folder / 'a.md'}: {says}")
        assert len(others) == 2

    def test_a_file_whose_name_is_not_valid_text_is_refused(self, folder: Path) -> None:
        (folder / os.fsdecode(b"caf\xe9")).write_text("x")
        assert [str(item) for item in read(folder, "{text}") if isinstance(item, BadLine)] == [
            f"{folder}/caf\\udce9: the file name is not UTF-8. Rename the file"
        ]

    def test_an_entry_that_is_not_a_regular_file_is_refused(self, folder: Path) -> None:
        os.mkfifo(folder / "a.pipe")
        (folder / "z.gone").symlink_to("nowhere")
        assert [item.problem[:18] for item in read(folder, "{text}") if isinstance(item, BadLine)] == [
            "not a regular file"
        ] * 2

    @pytest.mark.parametrize(
        ("template", "says"),
        [(None, "Pass --template"), ("Say {txt}", 'the template uses "txt". For a directory, use only "text" ')],
    )
    def test_a_template_for_a_directory_may_use_only_the_fields_of_a_file(
        self, template: str | None, says: str, folder: Path
    ) -> None:
        with pytest.raises(ValueError, match=says):
            read(folder, template)
