"""The directories and files of one attempt below the handler's output directory.

Ids come from outside. Whatever characters an id has, it becomes one name in one directory, and no
two ids become the same name.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

from aiodp._core.fields import Ref
from aiodp._files import make_directory

if TYPE_CHECKING:
    from aiodp._runner.task import Task

STREAMS: Final = ("StdOutput", "StdError")
_MAX_NAME_BYTES: Final = 255  # of Linux's and macOS' file systems
_HASH_BYTES: Final = 17
"""What a tilde and the beginning of a hash take of a name that had to be changed."""
_ILLEGAL: Final = re.compile(r"[~/\x00-\x1f\x7f\\\ud800-\udfff]")
_ATTEMPT_SUFFIX: Final = "_Attempt="
_TIME_SUFFIX: Final = re.compile(r"_\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(_\d+)?$")


def safe_name(text: str) -> str:
    """Return a name for a file or directory: the text itself, if it can be one."""
    name = _ILLEGAL.sub("_", text)
    if name == text and text not in ("", ".", "..") and len(text.encode()) <= _MAX_NAME_BYTES:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[: _HASH_BYTES - 1]
    cut = name.encode()[: _MAX_NAME_BYTES - _HASH_BYTES].decode(errors="ignore")
    return f"{cut}~{digest}"


def log_parts(task: Task) -> tuple[str, str, str, str]:
    """Return the path of an attempt's logs, as AWS's Task Runner has it.

    Pipeline, component, instance, attempt (Developer Guide, "Viewing Pipeline Logs").
    """
    instance = task.attempt_id.rpartition(_ATTEMPT_SUFFIX)[0] or task.attempt_id
    parent = task.fields.get("@componentParent")
    component = (
        parent.object_id
        if isinstance(parent, Ref)
        else _TIME_SUFFIX.sub("", instance.removeprefix("@"))
    )
    pipeline, attempt = task.pipeline_id, task.attempt_id
    return safe_name(pipeline), safe_name(component), safe_name(instance), safe_name(attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where an attempt has its logs, and its work, which is removed when it ends."""

    output: Path
    logs: Path
    work: Path

    @classmethod
    def of(cls, output: Path, task: Task) -> Self:
        """Return the paths of an attempt; nothing is made yet."""
        return cls(
            output=output,
            logs=output.joinpath("logs", *log_parts(task)),
            work=output / "work" / uuid4().hex,
        )

    def make(self) -> None:
        """Make the directories, for this user alone; raise `OSError`.

        Earlier logs of the attempt are removed, for the service may hand it out twice.
        """
        make_directory(self.logs)
        for name in STREAMS:
            self.stream(name).unlink(missing_ok=True)
        make_directory(self.work.parent)
        self.work.mkdir(mode=0o700)  # other users must not read its data and its script
        self.working_directory.mkdir()

    @property
    def working_directory(self) -> Path:
        """The directory in which the command runs."""
        return self.work / "here"

    @property
    def script(self) -> Path:
        """The file that the shell runs."""
        return self.work / "script"

    def staging(self, kind: str, number: int) -> Path:
        """Return the directory of `input` or `output` number n, counted from 1."""
        return self.work / f"{kind}{number}"

    def stream(self, name: str) -> Path:
        """Return the file of one of `STREAMS`."""
        return self.logs / name

    def remove(self) -> None:
        """Remove the work, also where a command took permissions away; raise `OSError`."""
        try:
            with suppress(FileNotFoundError):
                shutil.rmtree(self.work)
        except PermissionError:
            _grant_permissions(self.work)
            shutil.rmtree(self.work)
        except RecursionError:  # thousands of directories, one in the other
            subprocess.run(["/bin/rm", "-rf", "--", self.work], check=False)  # noqa: S603 - ours


def _grant_permissions(directory: Path) -> None:
    """Let this user remove what is below."""
    directory.chmod(stat.S_IRWXU)
    for parent, names, _ in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(stat.S_IRWXU)
