"""The state file as a file: who may have it, and which are none."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing

import pytest

from aiodp.emulator import EmulatorServer
from aiodp.emulator._store import Store


@pytest.fixture
def path(tmp_path):
    """Where no file is yet."""
    return tmp_path / "state"


def execute(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_second_user_is_refused(path):
    """A file which is in use is refused, by its name; afterwards it can be had."""
    store = Store(path)
    with pytest.raises(OSError, match="another server uses it") as raised:
        Store(path)
    assert raised.value.errno == errno.EBUSY
    assert str(path) in (raised.value.strerror or "")
    store.close()
    Store(path).close()


def test_a_database_of_something_else_is_refused(path):
    """Neither is anything written to it."""
    execute(path, "CREATE TABLE mine (a)")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is a database of something else"):
        Store(path)
    assert path.read_bytes() == before


def test_what_is_no_database_is_refused(path):
    """Such as a text, which stays as it is."""
    path.write_text("something quite different, and long enough for a header " * 20)
    with pytest.raises(ValueError, match=f"{path} is not a state file"):
        Store(path)
    assert path.read_text().startswith("something")


def test_another_format_is_refused(path):
    """The error names the file and both formats."""
    Store(path).close()
    execute(path, "PRAGMA user_version = 99")
    with pytest.raises(ValueError, match=f"{path} has format 99, but .* has format 3"):
        Store(path)


def test_a_directory_is_refused(tmp_path):
    """It can be no file."""
    with pytest.raises(OSError, match="it is a directory") as raised:
        Store(tmp_path)
    assert raised.value.errno == errno.EISDIR


def test_a_place_where_no_file_can_be_is_refused(tmp_path):
    """Such as a folder that is not there."""
    with pytest.raises(OSError, match=f"the state file {tmp_path}/no/where cannot be used"):
        Store(tmp_path / "no" / "where")


def test_a_file_which_cannot_be_written_is_refused(path, monkeypatch):
    """What can be read alone is no place to keep anything."""
    Store(path).close()
    connect = sqlite3.connect
    monkeypatch.setattr(  # file modes do not bind every user
        sqlite3,
        "connect",
        lambda _, **options: connect(f"file:{path}?mode=ro", uri=True, **options),
    )
    with pytest.raises(OSError, match="readonly database") as raised:
        Store(path)
    assert raised.value.errno == errno.EACCES


def test_a_file_which_cannot_be_opened_is_refused(path, monkeypatch):
    """If it is there it is a matter of rights."""
    path.touch()
    monkeypatch.setattr("os.access", lambda *_: False)  # file modes do not bind every user

    def connect(*_, **__):
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(PermissionError, match=f"{path} cannot be used: unable to open"):
        Store(path)
    path.unlink()
    with pytest.raises(PermissionError):  # to make one in its folder
        Store(path)


def test_an_empty_name_is_refused():
    """It does not stand for the current directory."""
    with pytest.raises(FileNotFoundError, match="the state file has an empty name"):
        Store("")


def test_an_empty_file_is_a_new_one(path):
    """As a temporary file is which was made for it."""
    path.touch()
    store = Store(path)
    assert store.known() == []
    store.close()


def test_nothing_is_served_from_a_file_that_is_none(path):
    """The server says so when it starts, and has no port then."""
    path.write_text("no database " * 100)
    server = EmulatorServer(state=path)
    with pytest.raises(ValueError, match="is not a state file"):
        server.start()
    assert repr(server) == "<EmulatorServer stopped>"


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM events WHERE number = 0",
        "DELETE FROM definitions",
        "UPDATE tasks SET data = '{'",
        "UPDATE instances SET component = 'unknown'",
        "UPDATE services SET epoch = 'yesterday'",
        "UPDATE services SET now = 'then'",
        "UPDATE services SET region = 'nowhere'",
        "UPDATE definitions SET data = replace(data, 'stringValue', 'strangeValue')",
    ],
)
def test_a_damaged_file_is_refused(path, damage):
    """What does not fit together is said, with the file's name, before anything is served."""
    with EmulatorServer(state=path) as server:
        server.service().assign(2)
    execute(path, damage)
    with pytest.raises(ValueError, match=f"the state file {path} is damaged"):
        EmulatorServer(state=path).start()
    Store(path).close()  # and it is nobody's
