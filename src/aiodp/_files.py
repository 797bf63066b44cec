"""Files and folders which only this user may read, in places that no other user can change.

What another user can rename, replace or link would be written, or run, with our rights.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_LINKS: Final = 40
_ROOT: Final = 0


def make_directory(path: Path) -> None:
    """Make a folder, and those above it, for this user alone; one that exists stays as it is.

    Raises `OSError`: a `PermissionError` that says why if another user could change what is in it.
    """
    check_directory(path)
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    for folder in reversed(missing):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    if not path.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    check_directory(path)  # somebody may have been faster


def check_directory(path: Path) -> None:
    """Raise `PermissionError` if another user could change what is in a folder, or replace it.

    It belongs to this user or to root, as all that leads to it does, and not everybody may write
    in it unless it is sticky, as /tmp is. What does not exist is safe. On Windows, whose folders
    have lists of who may do what, nothing is checked.
    """
    if sys.platform == "win32":
        return
    for step, status in _way_to(path):
        _check_owner(step, status)
        everybody = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
        if everybody and not stat.S_ISLNK(status.st_mode):
            raise _unsafe(step, "every user may write in it")


def open_private(path: Path, mode: str, **settings: Any) -> Any:
    """Open a file as `open` does; a new one is for this user alone, and a link is not followed.

    Raises `PermissionError` for a file of another user, who could read what is written.
    """
    return open(path, mode, opener=_open, **settings)


def _open(path: str, flags: int) -> int:
    kept = flags & ~os.O_TRUNC  # until it is known whose file it is
    try:
        opened = os.open(path, kept | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            error.strerror = "it is a link, which is not followed; remove it"
        raise
    try:
        status = os.fstat(opened)
        _check_owner(Path(path), status)
        if flags & os.O_TRUNC and stat.S_ISREG(status.st_mode):
            os.ftruncate(opened, 0)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _check_owner(path: Path, status: os.stat_result) -> None:
    if sys.platform != "win32" and status.st_uid not in (_ROOT, os.geteuid()):
        raise _unsafe(path, f"it belongs to another user ({status.st_uid})")


def _way_to(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all folders and links that lead to a path, and that exist."""
    place, links = Path("/"), 0
    names = list(reversed(path.absolute().parts[1:]))
    while names:
        step = place / names.pop()
        try:
            status = step.lstat()
        except FileNotFoundError:
            return
        yield step, status
        if not stat.S_ISLNK(status.st_mode):
            place = Path(os.path.normpath(step))  # without ..
            continue
        if (links := links + 1) > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = step.readlink()
        place = Path("/") if target.is_absolute() else place
        names.extend(reversed(target.parts[target.is_absolute() :]))


def _unsafe(path: Path, why: str) -> PermissionError:
    remedy = "choose a folder that only you can change, such as a new one below /tmp"
    return PermissionError(errno.EPERM, f"{why}, so it is not used; {remedy}", str(path))
