"""Addresses as JDBC writes them."""

from __future__ import annotations

import pytest

from aiodp.sql._jdbc import Engine, JdbcUrl


@pytest.mark.parametrize(
    ("text", "engine", "host", "port", "database"),
    [
        ("jdbc:postgresql://db.example:6000/sales", Engine.POSTGRESQL, "db.example", 6000, "sales"),
        ("jdbc:postgresql://db.example/", Engine.POSTGRESQL, "db.example", 5432, None),
        ("jdbc:redshift://c.example/dev", Engine.REDSHIFT, "c.example", 5439, "dev"),
        ("jdbc:mysql://10.0.0.1", Engine.MYSQL, "10.0.0.1", 3306, None),
        (" JDBC:MariaDB://[::1]:3307/a%20b ", Engine.MYSQL, "::1", 3307, "a b"),
    ],
)
def test_the_parts_of_a_url(text, engine, host, port, database):
    """The server's kind, its address, with its kind's own port, and the database, if any."""
    url = JdbcUrl.parse(text)
    assert (url.engine, url.host, url.port, url.database) == (engine, host, port, database)
    assert url.properties == {}


@pytest.mark.parametrize("separator", ["&", ";"])
def test_the_properties_of_a_url(separator):
    """They follow a question mark, or a semicolon as in Redshift's; values may be quoted."""
    url = JdbcUrl.parse(f"jdbc:mysql://h/d?useSSL=false{separator}password=a%26b{separator}x")
    assert url.properties == {"useSSL": "false", "password": "a&b"}
    assert JdbcUrl.parse("jdbc:redshift://h/d;ssl=true").properties == {"ssl": "true"}
    assert "a&b" not in repr(url)


@pytest.mark.parametrize(
    "text",
    [
        "mysql://h/d",
        "jdbc:oracle:thin:@h:1521:secret",
        "jdbc:mysql://user:secret@h/d",
        "jdbc:mysql://one,two/secret",
        "jdbc:redshift:iam://h/secret",
        "jdbc:postgresql:secret",
        "jdbc:mysql://h:port/secret",
    ],
)
def test_what_is_no_such_url_is_not_shown(text):
    """The message says what is understood, and not what was given: a password may be in it."""
    with pytest.raises(ValueError, match=r"is not of the form jdbc:mysql:, jdbc:mariadb:") as error:
        JdbcUrl.parse(text)
    assert "secret" not in str(error.value)
