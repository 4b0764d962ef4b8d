"""The site: Sphinx reads the repository's own Markdown files where they are, so that each text stands once.

    make docs        build/site/index.html; a warning is an error

Sources are the documents of this folder, config/README.md, the READMEs of the examples, and what the root has for
readers. Nothing here needs a network, and no page loads anything from another host.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hpo_workflow import __version__  # noqa: E402

project = "hpo_workflow"
version = release = __version__
html_title = project
project_copyright = ""

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = ["docs/**.md", "config/README.md", "examples/*/README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = [".*", "build", "results", "hpo_workflow", "tests", "benchmarks", "**/results", "**/.snakemake"]

# What a document is in the menu. A star takes all that is not named before it.
MENU = {
    "Tutorial": ["docs/tutorial/install", "docs/tutorial/first-study", "docs/tutorial/change", "docs/tutorial/slurm"],
    "How to": [
        "docs/how-to/metrics",
        "docs/how-to/templates",
        "docs/how-to/conditions",
        "docs/how-to/knowledge",
        "docs/how-to/import",
        "docs/how-to/advice",
        "docs/how-to/fidelity",
        "docs/how-to/population",
        "docs/how-to/gpus-and-slurm",
        "docs/how-to/login-node",
        "docs/how-to/change-a-study",
        "docs/how-to/failures",
        "docs/how-to/pruning",
        "docs/how-to/results",
        "docs/how-to/watch",
        "docs/how-to/tracking",
        "docs/how-to/export",
        "docs/how-to/notebook",
        "docs/how-to/compare",
        "docs/how-to/many-short-trials",
        "docs/how-to/python",
        "docs/how-to/*",
    ],
    "Reference": [
        "config/README",
        "docs/commands",
        "docs/files",
        "docs/reference/python",
        "docs/reference/glossary",
        "docs/reference/*",
    ],
    "Explanation": [
        "docs/explanation/rolling",
        "docs/explanation/samplers",
        "docs/explanation/multifidelity",
        "docs/explanation/*",
    ],
    "Examples": ["examples/*/README"],
    "Project": ["docs/benchmarks", "CHANGELOG", "CONTRIBUTING", "docs/*"],
}

# ---- Markdown as on a repository's own pages -------------------------------------------------------------------
myst_heading_anchors = 4  # the anchors that repository pages give to headings
myst_links_external_new_tab = False
smartquotes = False  # `--keep` is typed with two signs

# ---- the Python API --------------------------------------------------------------------------------------------
default_role = "code"  # `name` in a docstring
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# ---- pages -----------------------------------------------------------------------------------------------------
html_theme = "furo"  # its own style sheets and the reader's fonts
html_static_path = ["site/static"]
html_css_files = ["site.css"]
templates_path = ["site/templates"]
html_additional_pages = {"index": "to_docs.html"}
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"sidebar_hide_name": False}
pygments_style = "tango"
pygments_dark_style = "monokai"
copybutton_prompt_text = "$ "  # and lines without it, what a command prints, are not copied


def menu() -> dict[str, list[str]]:
    """Documents of each part of the menu, those that there are; each once."""
    taken: set[str] = {root_doc}
    found: dict[str, list[str]] = {}
    for caption, patterns in MENU.items():
        names = [
            path.relative_to(ROOT).with_suffix("").as_posix()
            for pattern in patterns
            for path in sorted(ROOT.glob(f"{pattern}.md"))
        ]
        found[caption] = [name for name in dict.fromkeys(names) if name not in taken]
        taken.update(found[caption])
    return {caption: names for caption, names in found.items() if names}


def add_menu(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append the menu to the home page while it is read: in the file it would be noise."""
    if docname == root_doc:
        for caption, names in menu().items():
            listed = "\n".join(f"/{name}" for name in names)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def link_folders_to_their_readme(app: Sphinx, docname: str, source: list[str]) -> None:
    """A repository's pages show a folder's README below it; the site has the README only."""
    here = (ROOT / docname).parent

    def link(match: re.Match[str]) -> str:
        readme = here / match[1] / "README.md"
        return f"]({match[1].rstrip('/')}/README.md)" if readme.is_file() else match[0]

    source[0] = re.sub(r"\]\(([^)\s:#]+)\)", link, source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", link_folders_to_their_readme)
    app.connect("source-read", add_menu)
