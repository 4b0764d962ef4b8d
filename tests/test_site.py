"""The site that `make docs` builds: no warning, nothing loaded from elsewhere, every document in the menu, a search."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.clone import ROOT
from tests.machine import find_browser

pytestmark = [pytest.mark.need("sphinx"), pytest.mark.xdist_group("site")]  # built once

LOADING = {"src", "srcset", "data", "poster", "background"}
"""Attributes whose address a browser fetches by itself; of `href` only that of <link> is."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (recipe,) = re.findall(r"^docs:.*\n\t\$\(BIN\)/python (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    words = (
        recipe.replace("build/doctrees", str(folder / "doctrees")).replace("build/site", str(folder / "site")).split()
    )
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


class Loads(HTMLParser):
    """Collects what a page loads by itself and where its links lead."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in LOADING or (name == "href" and tag == "link"):
                self.loads.append(value or "")
            elif name == "href":
                self.links.append(value or "")


def elsewhere(address: str) -> bool:
    return re.match(r"[a-z]+:|//", address) is not None and not address.startswith("data:")


def test_no_page_and_no_style_sheet_loads_anything_from_another_host(site):
    pages = sorted(site.rglob("*.html"))
    assert site / "docs/index.html" in pages
    for page in pages:
        assert [load for load in Loads(page).loads if elsewhere(load)] == [], page
    for sheet in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        loaded = re.findall(r"@import\s+[\"']?([^\"';]+)|url\(\s*[\"']?([^\"')]+)", text)
        assert [load for pair in loaded for load in pair if elsewhere(load)] == [], sheet


def test_what_a_page_would_load_from_elsewhere_is_seen(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<link href="https://a/b.css"><script src="//a/b.js"></script><a href="https://a/">a</a>')
    assert [load for load in Loads(page).loads if elsewhere(load)] == ["https://a/b.css", "//a/b.js"]


def test_every_page_can_be_reached_from_the_menu_of_the_home_page(site):
    home = site / "docs/index.html"
    reached = {(home.parent / link.partition("#")[0]).resolve() for link in Loads(home).links if not elsewhere(link)}
    documents = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/README.md"), ROOT / "config/README.md"]
    pages = {(site / path.relative_to(ROOT)).with_suffix(".html").resolve() for path in documents}
    assert pages <= reached | {home.resolve()}


def test_the_root_of_the_site_leads_to_the_home_page(site):
    assert 'url=docs/index.html"' in (site / "index.html").read_text()


@pytest.mark.need("browser")
def test_the_search_finds_a_page_without_a_network(site, tmp_path):
    command = [find_browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    address = f"{(site / 'search.html').as_uri()}?q=placeholders"
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run([*command, *offline, address], capture_output=True, text=True, timeout=60, check=False)
    assert "config/README.html" in done.stdout, done.stderr
