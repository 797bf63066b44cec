"""The data formats: what the guide's pages say, byte for byte, and that what is written is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp import TaskFailed
from aiodp._core.objects import parse_object
from aiodp.sql._columns import Column, empty_as_null
from aiodp.sql._formats import DEFAULT, read_format
from aiodp.sql._records import MAX_RECORD, Decoder
from unit.shell.kit import wire_object

if TYPE_CHECKING:
    from aiodp.sql._rows import Batch

ACCESS_LOG = (
    r'([^ ]*) ([^ ]*) ([^ ]*) (-|\[[^\]]*\]) ([^ "]*|"[^"]*") (-|[0-9]*) (-|[0-9]*)'
    r'(?: ([^ "]*|"[^"]*") ([^ "]*|"[^"]*"))?'
)
"""The pattern of the guide's example."""


def made(kind, **fields):
    return read_format(parse_object(wire_object("Format", {"type": kind, **fields})))


def decoded(data_format, data, *, chunk=1 << 20, width=None):
    decoder = Decoder(data_format, width)
    rows = []
    for start in range(0, len(data), chunk):
        rows += decoder.decode(data[start : start + chunk])
    return rows + decoder.end()


@pytest.mark.parametrize(
    ("data_format", "expected"),
    [
        (made("CSV"), b"a,b\\,\\\\c\n\\N,\n"),
        (made("TSV"), b"a\tb,\\\\c\n\\N\t\n"),
        (made("TSV", columnSeparator="|", recordSeparator=";"), b"a|b,\\\\c;\\N|;"),
        (made("Custom", columnSeparator=","), b"a,b\\,\\\\c\n\\N,\n"),
        (made("CSV", escapeChar="^"), b"a,b^,\\c\n^N,\n"),
        (made("Custom", columnSeparator=r"\t", recordSeparator=r"\n"), b"a\tb,\\\\c\n\\N\t\n"),
        (made("Custom", columnSeparator=r"\001"), b"a\x01b,\\\\c\n\\N\x01\n"),
        (made("Custom", columnSeparator=r"\u00a7"), b"a\xc2\xa7b,\\\\c\n\\N\xc2\xa7\n"),
        (made("RegEx", outputFormat="%2$s=%1$3s%%%2$-3.1s|"), b"b,\\c=  a%b  |\n=null%   |\n"),
        (made("RegEx", outputFormat="%s;%s"), b"a;b,\\c\nnull;\n"),
    ],
)
def test_rows_are_written(data_format, expected):
    """Unquoted, with an escape character before what would be a separator; NULL is escaped N."""
    assert data_format.encode([("a", "b,\\c"), (None, "")]) == expected


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"", []),
        (b"\n", [("",)]),
        (b"a,b\nc,d", [("a", "b"), ("c", "d")]),
        (b'"a,b"\n', [('"a', 'b"')]),
        (b"a\\,b,\\\\,\\N,\\n,\\\\N,x\\N\n", [("a,b", "\\", None, None, "\\N", "xN")]),
        (b"a\\\nb,c\n", [("a\nb", "c")]),
        (b"a\\\\\nb\n", [("a\\",), ("b",)]),
        (b"\xff\xc3\xa9\n", [("\udcff\xe9",)]),
        (b"a\rb\\\r\n", [("a\rb\r",)]),
    ],
)
def test_records_are_read(data, rows):
    """The character after an escape character is itself; a last record needs no end."""
    for chunk in (1, 2, 100):
        assert decoded(DEFAULT, data, chunk=chunk) == rows


TEXT = st.text(st.sampled_from("ab,\t\n\r\\|;^N\"'é😀") | st.characters(codec="utf-8"))


@given(
    rows=st.integers(1, 3).flatmap(
        lambda width: st.lists(st.tuples(*[st.none() | TEXT] * width), max_size=4)
    ),
    chunk=st.integers(1, 40),
    data_format=st.sampled_from(
        [
            DEFAULT,
            made("TSV"),
            made("CSV", escapeChar='"'),
            made("Custom", columnSeparator="|", recordSeparator="\r"),
            made("Custom", columnSeparator="é", recordSeparator="b", escapeChar="a"),
        ]
    ),
)
def test_what_is_written_is_read(rows, chunk, data_format):
    """Whatever the fields hold, and wherever the chunks end."""
    assert decoded(data_format, data_format.encode(rows), chunk=chunk) == rows


@given(data=st.binary(max_size=60), chunk=st.integers(1, 20))
def test_what_is_read_is_written(data, chunk):
    """Bytes that are no text come out as they came in, if they have no separator."""
    plain = data.translate(None, b",\n\\\r")
    assert DEFAULT.encode(decoded(DEFAULT, plain, chunk=chunk)).removesuffix(b"\n") == plain


def test_the_guides_regex_reads_an_access_log():
    """A group without a match is NULL."""
    line = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326'
    data_format = made("RegEx", inputRegEx=ACCESS_LOG, column=[f"c{n} STRING" for n in range(9)])
    [row] = decoded(data_format, f"{line}\n".encode(), chunk=7)
    request = '"GET / HTTP/1.0"'
    assert row == (
        *("127.0.0.1", "-", "frank", "[10/Oct/2000:13:55:36 -0700]", request, "200", "2326"),
        *(None, None),
    )
    with pytest.raises(ValueError, match="record 2 is not matched by inputRegEx: 'two'"):
        decoded(data_format, f"{line}\ntwo words\n".replace(" words", "").encode())


def test_java_names_groups_in_its_own_way():
    """And its digits are those of ASCII."""
    data_format = made("RegEx", inputRegEx=r"(?<day>\d+)(?<!x)(?<rest>.*)")
    assert decoded(data_format, b"1\xd9\xa1\n") == [("1", "\u0661")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,b\nc\n", "record 2 has 1 fields, not 2"),
        (b"a,b\r\n", "record 1 ends with CR LF, as in files of Windows"),
        (b"a,\\\\\r\n", "record 1 ends with CR LF"),
        (b"a\nb\\", "record 2 ends with an escape character, which nothing follows"),
        (b"a\n" + b"x" * (MAX_RECORD + 1), "record 2 has no end in 16,777,216 characters"),
    ],
)
def test_what_is_no_record_is_named(data, words):
    """By its number, and with what is wrong."""
    with pytest.raises(ValueError, match=words):
        decoded(DEFAULT, data)


def test_declared_columns_say_how_many_fields_there_are():
    """In what is read and in what is written; the same holds for all objects of a directory."""
    data_format = made("CSV", column=["Name STRING", "Score INT, Price DECIMAL(10, 2)"])
    for work in (lambda: decoded(data_format, b"a,1\n"), lambda: data_format.encode([("a", "1")])):
        with pytest.raises(ValueError, match="has 2 fields, not 3"):
            work()
    with pytest.raises(ValueError, match="record 1 has 1 fields, not 2"):
        decoded(DEFAULT, b"a\n", width=2)


def test_an_empty_field_is_null_where_it_can_be_no_text():
    """By the type of its column."""
    columns = made(
        "CSV", column=["Name STRING", "Score INT", "At TimeStamp", "Any", "D decimal(1)"]
    )
    assert columns.columns[1] == Column(name="Score", type="INT")
    batch: Batch = [("",) * 5, ("a",) * 5]
    assert empty_as_null(batch, columns.columns) == [("", None, None, "", None), ("a",) * 5]
    assert empty_as_null(batch[1:], columns.columns) == batch[1:]
    assert empty_as_null(batch, ()) == batch


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("DynamoDBExportDataFormat", {}, "Format is a DynamoDBExportDataFormat; only the formats"),
        ("CSV", {"columnSeparator": ";"}, "for other separators there is Custom"),
        ("Custom", {}, "a Custom must have a columnSeparator"),
        ("Custom", {"columnSeparator": "||"}, "columnSeparator must be one character, not '||'"),
        ("TSV", {"recordSeparator": "\r\n"}, "recordSeparator must be one character"),
        ("TSV", {"columnSeparator": r"\x"}, "columnSeparator must be one character"),
        ("TSV", {"escapeChar": "\t"}, "must differ from each other"),
        ("Custom", {"columnSeparator": "N"}, "and from the N of NULL"),
        ("CSV", {"escapeChar": ["a", "b"]}, "field 'escapeChar' has 2 values"),
        ("CSV", {"column": ["a INT", " "]}, "column ' ' has no name"),
        ("RegEx", {"inputRegEx": "("}, "inputRegEx cannot be read, missing"),
        ("RegEx", {"inputRegEx": "[a&&[b]]"}, "inputRegEx cannot be read"),
        ("RegEx", {"inputRegEx": "(a)", "column": ["a INT", "b INT"]}, "1 groups for 2 columns"),
        ("RegEx", {"outputFormat": "%1$d"}, "outputFormat: '%1[$]d' is not supported"),
        ("RegEx", {"outputFormat": "%0$s"}, "the first field is %1[$]s"),
        ("RegEx", {"outputFormat": "100%"}, "'%' is not supported"),
    ],
)
def test_a_format_that_cannot_be_is_a_bad_definition(kind, fields, words):
    """The message names the object, the field and what is allowed."""
    with pytest.raises(TaskFailed, match=words) as caught:
        made(kind, **fields)
    assert str(caught.value).startswith("Format")
    assert caught.value.error_id == "BadDefinition"


@pytest.mark.parametrize(
    ("row", "words"),
    [(("a",), "there is no %2[$]s in 1 fields"), (("a\nb", "c"), "a field has a line feed")],
)
def test_what_cannot_be_formatted_is_refused(row, words):
    """A record of a RegEx has no escapes."""
    with pytest.raises(ValueError, match=words):
        made("RegEx", outputFormat="%1$s %2$s").encode([row])
