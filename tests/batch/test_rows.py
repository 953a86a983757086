"""Tables as input."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.batch import pieces
from aws_bedrock_inference.batch.pieces import bounded_lines
from aws_bedrock_inference.batch.records import BadLine, Record, records_from
from aws_bedrock_inference.batch.rows import is_table, rows
from aws_bedrock_inference.batch.template import Template


def read(text: str | bytes, template: str | None = None) -> list[Record | BadLine]:
    made = Template(template) if template else None
    content = text.encode() if isinstance(text, str) else text
    return list(records_from(rows(bounded_lines([content]), "table.csv", made), made))


def sources(text: str | bytes, template: str | None = None) -> list[dict[str, Any]]:
    found = read(text, template)
    assert all(isinstance(item, Record) for item in found), found
    return [item.source for item in found if isinstance(item, Record)]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(str.strip)


@given(
    texts=st.lists(TEXTS, min_size=1, max_size=5),
    tokens=st.one_of(st.none(), st.integers(1, 1000)),
    stops=st.one_of(st.none(), st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=3)),
    form=st.tuples(st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"])),
    block=st.integers(1, 40),
)
def test_a_table_saved_by_a_spreadsheet_is_read_unchanged(
    texts: list[str], tokens: int | None, stops: list[str] | None, form: tuple[str, str], block: int
) -> None:
    file = io.StringIO(newline="")
    delimiter, ends = form
    # Python 3.11 leaves a carriage return without quotes.
    quoting: Any = csv.QUOTE_ALL if "\r" in "".join(texts) else csv.QUOTE_MINIMAL
    writer = csv.writer(file, delimiter=delimiter, lineterminator=ends, quoting=quoting)
    writer.writerow(["id", "prompt", "max_tokens", "stop_sequences"])
    for number, text in enumerate(texts):
        writer.writerow([f"p{number}", text, tokens, None if stops is None else json.dumps(stops)])
    given = {"max_tokens": tokens, "stop_sequences": stops}
    wanted = [
        {"id": f"p{number}", "prompt": text, **{name: value for name, value in given.items() if value is not None}}
        for number, text in enumerate(texts)
    ]
    content = file.getvalue().encode()
    blocks = [content[at : at + block] for at in range(0, len(content), block)]
    found = list(records_from(rows(bounded_lines(blocks), "table.csv", None)))
    assert [item.source for item in found if isinstance(item, Record)] == wanted


def test_a_row_has_the_number_of_its_first_line() -> None:
    found = read('id,prompt\n1,"a\nb"\n\n2,b,c\n3,c\n')
    assert [(type(item), item.number) for item in found] == [(Record, 2), (BadLine, 5), (Record, 6)]
    assert "3 cells for 2 columns" in str(found[1])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('1,"a" b,', "not CSV"),
        ("1,a,many", 'Write JSON in the column "max_tokens"'),
        ("1,a,0", '"max_tokens" is 0'),
        ("1,,5", '"prompt" is missing'),
        (",a,5", '"id" is missing'),
        (b"1,caf\xe9,5", "byte 6 is not UTF-8"),
    ],
)
def test_an_invalid_row_is_one_invalid_line(row: str | bytes, says: str) -> None:
    line = row.encode() if isinstance(row, str) else row
    bad, good = read(b"id,prompt,max_tokens\n" + line + b"\n2,b,7\n")
    assert isinstance(bad, BadLine)
    assert says in bad.problem
    assert isinstance(good, Record)
    assert good.source == {"id": "2", "prompt": "b", "max_tokens": 7}


@pytest.mark.parametrize(
    ("header", "template", "says"),
    [
        ("key,prompt", None, 'no column "id", only "key", "prompt"'),
        ("id,text", None, 'no column "prompt", only "id", "text". Rename a column to prompt, or pass --template'),
        ("id,prompt,temp", None, 'Did you mean "temperature"?'),
        ("id,prompt,model", None, '"model" is set on the command line for all records (--model)'),
        ("id,prompt,prompt", None, 'two columns have the name "prompt"'),
        ("id,title", "Say {text}", 'the column "text", but the table has only "id", "title"'),
        ("id,text,prompt", "Say {text}", 'column "prompt" or "messages", but --template'),
        ("id,text,max_token", "Say {text}", 'Did you mean "max_tokens"?'),
        ('"id', None, "not CSV"),
    ],
)
def test_a_table_without_the_needed_columns_is_refused_before_the_first_row(
    header: str, template: str | None, says: str
) -> None:
    with pytest.raises(ValueError, match=r"table\.csv, line 1: ") as caught:
        read(f"{header}\n1,a,b\n", template)
    assert says in str(caught.value)


def test_a_template_uses_columns_of_any_name_and_ignores_the_others() -> None:
    text = "id,Ticket text,owner,max_tokens,priority\n007,Broken,Ann,5,High\n"
    assert sources(text, "Solve ({priority}): {Ticket text}") == [
        {"id": "007", "prompt": "Solve (High): Broken", "max_tokens": 5}
    ]


def test_an_unclosed_quote_ends_the_reading_and_names_its_line() -> None:
    with pytest.raises(ValueError, match=r"table\.csv, line 3: a quote is opened but not closed"):
        read('id,prompt\n1,a\n2,"b\n3,c\n4,d\n')


def test_a_long_cell_is_read_and_one_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources(f"id,prompt\n1,{'x' * 200_000}\n")[0]["prompt"] == "x" * 200_000
    monkeypatch.setattr(pieces, "LONGEST_LINE", 1000)
    bad, good = read(f"id,prompt\n1,{'x' * 2000}\n2,b\n")
    assert "longer than 1,000 bytes" in str(bad)
    assert isinstance(good, Record)


@pytest.mark.parametrize(
    ("line", "template", "table"),
    [
        (b"id,prompt", None, True),
        (b"\xef\xbb\xbfid;system;prompt\r", None, True),
        (b"id\tmessages", None, True),
        (b"id,text", "{text}", True),
        (b"id,text", None, False),
        (b'{"id": 1, "prompt": "id,prompt"}', None, False),
        (b'"id","prompt', None, False),
        (b"\xff\xfe", None, False),
        (b"", None, False),
    ],
)
def test_a_table_is_recognised_by_its_first_line(line: bytes, template: str | None, *, table: bool) -> None:
    assert is_table(line, Template(template) if template else None) is table
