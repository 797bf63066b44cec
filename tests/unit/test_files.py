"""What is written can be read by its user alone, and by no other user's doing lands elsewhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from aiodp._files import check_directory, make_directory, open_private
from aiodp.cli._run.hourly_log import HourlyLog
from aiodp.emulator._store.file import Store

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_new_folders_and_files_are_for_their_user_alone(tmp_path):
    """Whatever the umask."""
    folder = tmp_path / "a" / "b"
    make_directory(folder)
    make_directory(folder)
    with open_private(folder / "file", "wb") as file:
        file.write(b"data")
    assert [mode(path) for path in (folder.parent, folder, folder / "file")] == [
        0o700,
        0o700,
        0o600,
    ]


@pytest.mark.usefixtures("umask")
def test_the_runners_log_and_the_state_file_are_for_their_user_alone(tmp_path):
    """The log in folders of its own; what SQLite keeps beside the state file as well."""
    log = HourlyLog(tmp_path / "output")
    assert mode(log.path) == 0o600
    assert mode(tmp_path / "output") == mode(tmp_path / "output" / "logs") == 0o700
    log.close()
    store = Store(tmp_path / "state")
    assert {mode(path) for path in tmp_path.glob("state*")} == {0o600}
    store.close()


def test_a_link_is_not_followed(tmp_path):
    """A file that somebody has linked to ours stays as it is, and the error says what to do."""
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError, match="it is a link, which is not followed; remove it"):
        open_private(tmp_path / "link", "w")
    assert target.read_text() == "mine"


@as_root
@pytest.mark.parametrize("how", ["w", "a"])
def test_a_file_of_another_user_is_not_written(tmp_path, how):
    """Such as one that waits in /tmp for what a task prints, where its owner can read it."""
    file = tmp_path / "StdOutput"
    file.write_text("mine")
    os.chown(file, NOBODY, -1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        open_private(file, how)
    assert file.read_text() == "mine"


def test_what_is_no_file_may_be_written():
    """Who gives /dev/null wants no copy."""
    with open_private(Path(os.devnull), "w") as file:
        file.write("nothing")


def test_a_folder_in_which_everybody_may_write_is_refused(tmp_path):
    """Nothing is made there, unless it is sticky, as /tmp is."""
    everybodys = tmp_path / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o777)
    with pytest.raises(PermissionError, match="every user may write in it, so it is not used") as e:
        make_directory(everybodys / "output" / "logs")
    assert e.value.filename == str(everybodys)
    assert not list(everybodys.iterdir())
    everybodys.chmod(0o1777)
    make_directory(everybodys / "output" / "logs")


@as_root
@pytest.mark.parametrize("where", ["itself", "above", "link", "below a link"])
def test_a_folder_that_another_user_can_change_is_refused(tmp_path, where):
    """It belongs to that user, or something that leads to it does."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    folder = {
        "itself": theirs,
        "above": theirs / "output",
        "link": tmp_path / "link",
        "below a link": tmp_path / "our link" / "output",
    }[where]
    theirs.mkdir()
    ours.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    (tmp_path / "link").symlink_to(ours)
    os.chown(tmp_path / "link", NOBODY, NOBODY, follow_symlinks=False)
    (tmp_path / "our link").symlink_to("ours/../theirs")
    with pytest.raises(PermissionError, match=f"it belongs to another user \\({NOBODY}\\)"):
        make_directory(folder)
    assert not list(theirs.iterdir())


def test_a_link_of_this_user_is_followed(tmp_path):
    """As to a disk with more room; one that leads to itself is an error."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "output").symlink_to("disk")
    make_directory(tmp_path / "output" / "logs")
    assert (tmp_path / "disk" / "logs").is_dir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        check_directory(tmp_path / "loop")
