"""A page in headless Chromium: what a script finds in it, and what the browser complains about."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machine import find_browser, need

FRAME = """<!doctype html>
<iframe id="frame" src="{source}" width="{width}" height="900"></iframe>
<pre id="found"></pre>
<script>
onload = async () => {{
  const frame = document.getElementById("frame");
  const answer = {{}};
  try {{
    answer.value = await (async (window, document) => {{ {script} }})(frame.contentWindow, frame.contentDocument);
  }} catch (error) {{
    answer.error = String(error);
  }}
  document.getElementById("found").textContent = JSON.stringify(answer);
}};
</script>
"""
"""The page is in a frame: a window of Chromium is never narrower than 500 px, and a script of ours is none of its."""


@dataclass(frozen=True)
class Seen:
    """What was seen of a page.

    Attributes:
        value: What the script returned.
        console: Messages of the browser's console: errors of scripts, what a policy forbade, `console.log`.
    """

    value: Any
    console: list[str]


OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--disable-extensions")


def dump(address: str, folder: Path) -> str:
    """The page at an address after its scripts have run, as HTML."""
    need("browser")
    program = find_browser()
    assert program is not None
    command = [program, *OPTIONS, f"--user-data-dir={folder}/profile", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def look(
    page: Path, script: str, folder: Path, *, width: int = 1200, source: str | None = None, dark: bool = False
) -> Seen:
    """Open `page` in a frame `width` pixels wide and run `script` there: its `window` and `document` are the page's.

    Args:
        folder: Where the browser may write.
        source: Another address of the page, for example its content as `data:`; then `document` is null.
        dark: Whether the browser says that its user wants dark pages.
    """
    need("browser")
    outer = folder / "frame.html"
    address = html.escape(source if source is not None else page.absolute().as_uri())
    outer.write_text(FRAME.format(source=address, width=width, script=script), encoding="utf-8")
    program = find_browser()
    assert program is not None
    options = [*OPTIONS, "--enable-logging=stderr", "--virtual-time-budget=20000", f"--user-data-dir={folder}/profile"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [program, *options, "--window-size=1400,1000", "--dump-dom", outer.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found[1], f"the script did not end\n{done.stderr}"
    answer = json.loads(html.unescape(found[1]))
    assert "error" not in answer, answer["error"]
    return Seen(answer.get("value"), re.findall(r"CONSOLE[^\]]*\] (.*)", done.stderr))
