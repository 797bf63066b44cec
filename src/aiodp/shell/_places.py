"""The directories and files of one attempt below the handler's output directory.

Ids come from outside: whatever one holds, it is one name in its directory, and two ids are never
the same name.
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

if TYPE_CHECKING:
    from aiodp._runner.task import Task

STREAMS: Final = ("StdOutput", "StdError")
_MAX_NAME_BYTES: Final = 255  # of Linux's and macOS' file systems
_MARK_BYTES: Final = 17
_UNFIT: Final = re.compile(r"[~/\x00-\x1f\x7f\\\ud800-\udfff]")
_ATTEMPT: Final = "_Attempt="
_TIME: Final = re.compile(r"_\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(_\d+)?$")


def safe_name(text: str) -> str:
    """Return a name for a file or directory; the text itself, if it can be one."""
    name = _UNFIT.sub("_", text)
    if name == text and text not in ("", ".", "..") and len(text.encode()) <= _MAX_NAME_BYTES:
        return text
    mark = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[: _MARK_BYTES - 1]
    cut = name.encode()[: _MAX_NAME_BYTES - _MARK_BYTES].decode(errors="ignore")
    return f"{cut}~{mark}"


def log_parts(task: Task) -> tuple[str, str, str, str]:
    """Return the path of an attempt's logs, as AWS's Task Runner has it.

    Pipeline, component, instance, attempt (Developer Guide, "Viewing Pipeline Logs").
    """
    instance = task.attempt_id.rpartition(_ATTEMPT)[0] or task.attempt_id
    named = task.fields.get("@componentParent")
    component = (
        named.object_id if isinstance(named, Ref) else _TIME.sub("", instance.removeprefix("@"))
    )
    pipeline, attempt = task.pipeline_id, task.attempt_id
    return safe_name(pipeline), safe_name(component), safe_name(instance), safe_name(attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where an attempt has its logs and its work. The work is its own, and goes with it."""

    output: Path
    logs: Path
    work: Path

    @classmethod
    def of(cls, output: Path, task: Task) -> Self:
        """Return the places of an attempt, which are not there yet."""
        return cls(
            output=output,
            logs=output.joinpath("logs", *log_parts(task)),
            work=output / "work" / uuid4().hex,
        )

    def make(self) -> None:
        """Make the directories; raise `OSError`.

        Files of the same attempt are removed, for it may be handed out twice.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        for name in STREAMS:
            self.stream(name).unlink(missing_ok=True)
        self.work.parent.mkdir(exist_ok=True)
        self.work.mkdir(mode=0o700)  # its data and its script are nobody else's matter
        self.here.mkdir()

    @property
    def here(self) -> Path:
        """The command's working directory."""
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
        """Remove the work, directories without permissions among it too; raise `OSError`."""
        try:
            with suppress(FileNotFoundError):
                shutil.rmtree(self.work)
        except PermissionError:
            _permit(self.work)
            shutil.rmtree(self.work)
        except RecursionError:  # thousands of directories, one in the other
            subprocess.run(["/bin/rm", "-rf", "--", self.work], check=False)  # noqa: S603 - ours


def _permit(directory: Path) -> None:
    """Give ourselves the right to remove what is below."""
    directory.chmod(stat.S_IRWXU)
    for top, below, _ in os.walk(directory):
        for one in below:
            path = Path(top, one)
            if not path.is_symlink():
                path.chmod(stat.S_IRWXU)
