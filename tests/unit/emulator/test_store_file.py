"""The state file as a file: who may have it, and which are none."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from aiodp.emulator import EmulatorServer
from aiodp.emulator._store import Store

NOBODY = 65534


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


def test_a_refused_start_lets_no_other_process_in(path):
    """A second server in this process leaves the first one's lock, and so does not share it."""
    store = Store(path)
    with pytest.raises(OSError, match="another server uses it"):
        Store(path)
    script = "import sys; from aiodp.emulator._store import Store; Store(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, check=False)
    assert b"another server uses it" in done.stderr
    store.close()


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
    with pytest.raises(ValueError, match=f"{path} has format 99, but .* has format 4"):
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


def test_a_file_which_sqlite_cannot_write_is_refused(path, monkeypatch):
    """What can be read alone is no place to keep anything."""
    Store(path).close()
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda _, **options: connect(f"file:{path}?mode=ro", uri=True, **options),
    )
    with pytest.raises(OSError, match="readonly database") as raised:
        Store(path)
    assert raised.value.errno == errno.EACCES


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277, 0o777], ids=oct)
@pytest.mark.parametrize("before", ["nothing", "empty", "link"])
def test_it_is_for_its_user_alone(path, umask, before):
    """Whatever the umask, the mode of an empty file before it, and a link that leads to it."""
    file = path.with_name("elsewhere") if before == "link" else path
    if before == "link":
        path.symlink_to(file.name)
    if before == "empty":
        path.touch(0o644)
    umask_before = os.umask(umask)
    try:
        store = Store(path)
    finally:
        os.umask(umask_before)
    modes = {made.name: stat.S_IMODE(made.stat().st_mode) for made in path.parent.iterdir()}
    store.close()
    assert file.name in modes
    assert f"{file.name}-wal" in modes
    assert set(modes.values()) == {0o600}


def test_what_is_no_file_keeps_its_mode(path):
    """A pipe, or /dev/null, is refused as it is."""
    os.mkfifo(path, 0o644)
    with pytest.raises(OSError, match=f"the state file {path} cannot be used: it is no file"):
        Store(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@contextmanager
def bound_by_modes():
    """A folder of a user whom file modes bind, and this process as that user."""
    user = os.geteuid() or NOBODY
    with TemporaryDirectory() as folder:  # tmp_path is below folders of root alone
        os.chown(folder, user, -1)
        os.seteuid(user)
        try:
            yield Path(folder)
        finally:
            os.seteuid(os.getuid())


def test_a_file_which_cannot_be_written_is_refused_and_left_alone():
    """Nothing is made beside it, so that it can be used as soon as it may be written."""
    with bound_by_modes() as folder:
        path = folder / "state"
        Store(path).close()
        path.chmod(0o400)
        with pytest.raises(OSError, match=f"the state file {path} cannot be used") as raised:
            Store(path)
        assert raised.value.errno == errno.EACCES
        assert list(folder.iterdir()) == [path]
        path.chmod(0o600)
        Store(path).close()


def test_a_folder_which_cannot_be_written_is_refused():
    """Neither a new file nor what SQLite keeps beside an old one can be made in it."""
    with bound_by_modes() as folder:
        path = folder / "state"
        for left in ([], [path]):
            folder.chmod(0o500)
            with pytest.raises(OSError, match=f"the state file {path} cannot be used") as raised:
                Store(path)
            assert raised.value.errno == errno.EACCES
            folder.chmod(0o700)
            assert list(folder.iterdir()) == left
            Store(path).close()


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
