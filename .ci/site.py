"""What mkdocs builds beside the pages of docs/, and links that work there and on a code host.

A link is written as it is for the repository. Pages of the top folder, the examples and the
benchmarks are on the site under their own paths, those of docs/ without that folder's name; a file
that is no page, such as a program, is shown by one.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
OUTSIDE: Final = ("*.md", "benchmarks/*.md", "benchmarks/*.svg", "examples/**/*")
HOME: Final = {"README.md": "readme.md"}  # mkdocs would make it the index of the site
LANGUAGES: Final = {".py": "python", ".yaml": "yaml", ".service": "ini", "": "text"}
LINK: Final = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what stands outside docs/."""
    for path in sorted({path for pattern in OUTSIDE for path in ROOT.glob(pattern)}):
        if path.suffix in (".md", ".svg"):
            files.append(File.generated(config, _site_path(path), abs_src_path=str(path)))
        elif path.is_file() and path.suffix in LANGUAGES:
            fence = f"# {path.name}\n\n```{LANGUAGES[path.suffix]}\n{path.read_text()}```\n"
            files.append(File.generated(config, _site_path(path), content=fence))
    return files


def on_page_markdown(markdown: str, page: Page, **_others: object) -> str:
    """Turn a link for the repository into one for the site."""
    own = page.file.src_uri
    source = own if page.file.generated_by else f"docs/{own}"
    return LINK.sub(lambda link: _link(link[1], source, own), markdown)


def _link(target: str, source: str, own: str) -> str:
    path = ROOT / posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    return posixpath.relpath(_site_path(path), posixpath.dirname(own))


def _site_path(path: Path) -> str:
    """Return where the site has a file of the repository; a folder is its README or its page."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        return f"{name}/README.md"
    if path.suffix not in (".md", ".png", ".svg"):
        return f"{name}.md"
    return HOME.get(name) or name.removeprefix("docs/")
