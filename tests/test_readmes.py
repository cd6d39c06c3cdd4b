"""Both READMEs have the same headings, commands, tables, links and pictures, in the same order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
LANGUAGE_LINKS = {"README.md", "README.zh-CN.md"}


def skeleton(path: Path) -> dict[str, list[str]]:
    """Return what must be equal in both languages."""
    text = path.read_text("utf-8")
    fences = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    return {
        "headings": re.findall("^#+ ", prose, re.MULTILINE),
        "commands": [re.sub(r"\s*#.*", "", line) for fence in fences for line in fence.splitlines()],
        "rows": [str(row.count("|") - row.count("\\|")) for row in rows],
        "links": sorted(set(re.findall(r"\]\(([^)]+)\)", prose)) - LANGUAGE_LINKS),
        "code": sorted(set(re.findall(r"`([^`\n]+)`", prose))),
    }


@pytest.mark.parametrize("part", ["headings", "commands", "rows", "links", "code"])
def test_readmes_have_the_same_parts(part):
    english, chinese = skeleton(ENGLISH)[part], skeleton(CHINESE)[part]
    assert chinese == english


@pytest.mark.parametrize("path", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_links_of_a_readme_lead_to_files(path):
    links = [link for link in skeleton(path)["links"] if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link.partition("#")[0]).exists(), link
