"""Which question marks of an SQL text stand for values."""

from __future__ import annotations

import pytest

from aiodp.sql._script import count_marks, replace_marks

BOTH = [
    ("SELECT ?, ?", "SELECT <0>, <1>"),
    ("SELECT '?', 'it''s ?', ? -- ?\n, ?", "SELECT '?', 'it''s ?', <0> -- ?\n, <1>"),
    ("/* ? */ ? /* ?", "/* ? */ <0> /* ?"),
    ('SELECT "a?", ?', 'SELECT "a?", <0>'),
    ("SELECT a ?? b, ?", "SELECT a ? b, <0>"),
    ("'open ?", "'open ?"),
    ("", ""),
]
POSTGRESQL = [
    (r"SELECT 'a\', ?, E'\'?', e'?''\\', ?", r"SELECT 'a\', <0>, E'\'?', e'?''\\', <1>"),
    ("$$ ? $$ ? $f$ ? $$ ? $f$ ?", "$$ ? $$ <0> $f$ ? $$ ? $f$ <1>"),
    ("/* /* ? */ ? */ ?", "/* /* ? */ ? */ <0>"),
    ("/* /* ?", "/* /* ?"),
    ("SELECT a--?\n, $1, b$x$ ?", "SELECT a--?\n, $1, b$x$ <0>"),
    ("a#?", "a#<0>"),
]
MYSQL = [
    (r"SELECT 'a\'?', ?", r"SELECT 'a\'?', <0>"),
    ('SELECT "b\\"?", `c?`, ?', 'SELECT "b\\"?", `c?`, <0>'),
    ("SELECT 1--?\n, ? # ?\n, ?", "SELECT 1--<0>\n, <1> # ?\n, <2>"),
    ("/* /* ? */ ? */", "/* /* ? */ <0> */"),
    ("-- ?", "-- ?"),
]


@pytest.mark.parametrize(
    ("mysql", "sql", "replaced"),
    [(mysql, *pair) for mysql in (False, True) for pair in BOTH]
    + [(False, *pair) for pair in POSTGRESQL]
    + [(True, *pair) for pair in MYSQL],
)
def test_marks_in_literals_names_and_comments_stand_for_themselves(mysql, sql, replaced):
    """Each server reads its texts in its own way; two marks are one, as in JDBC."""
    assert replace_marks(sql, lambda n: f"<{n}>", mysql=mysql) == replaced
    assert count_marks(sql, mysql=mysql) == replaced.count("<")


def test_what_is_between_the_marks_can_be_changed():
    """The drivers want their own mark, and the percent signs of all else doubled."""
    sql = replace_marks(
        "INSERT INTO t VALUES (?, '100%?', ?)",
        lambda _: "%s",
        mysql=True,
        other=lambda text: text.replace("%", "%%"),
    )
    assert sql == "INSERT INTO t VALUES (%s, '100%%?', %s)"
