"""The labs: each runs whole on a small budget, speaks both languages, and becomes a notebook."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import forked_labs
import pytest

from paddle_mnist.labs import __main__ as labs
from paddle_mnist.labs import notebooks, tools

NAMES = tools.names()
HAN = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the environment of the labs, with a cache that they share, so that the sample is parsed once."""
    settings = {
        "PADDLE_MNIST_LAB_BUDGET": "small",
        "PADDLE_MNIST_OFFLINE": "1",
        "PADDLE_MNIST_CACHE": str(tmp_path_factory.mktemp("cache")),
        "MPLBACKEND": "Agg",
        "PYTHONUTF8": "1",
        # Where other tests run beside this one, the threads of NumPy's products wait for each other.
        "OPENBLAS_NUM_THREADS": "1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        forked_labs.start_server()
    yield settings


def test_a_lab_runs_as_a_script(own_folder, environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(tools.source_folder() / f"{NAMES[0]}.py")],
        cwd=own_folder,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    assert f"lab {NAMES[0][:2]} done" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_each_lab_runs_whole_from_any_folder(name, own_folder, environment, tmp_path):
    log = tmp_path / "log"
    status = forked_labs.run(tools.source_folder() / f"{name}.py", own_folder, environment, log)
    output = log.read_text("utf-8")
    assert status == 0, output[-4500:]
    assert f"lab {name[:2]} done" in output
    left = own_folder / "work" / "labs" / name
    pictures = sorted(left.glob("*.png"))
    assert pictures
    assert all(picture.stat().st_size > 3000 for picture in pictures)
    note = json.loads((left / "run.json").read_text("utf-8"))
    assert note["small"] is True
    assert sorted(path.name for path in own_folder.iterdir()) in (["work"], ["cache", "work"]), (
        "nothing is left elsewhere"
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_text_stands_in_both_languages(name):
    cells = [cell for cell in notebooks.read_cells(tools.source_folder() / f"{name}.py") if cell.kind == "markdown"]
    assert len(cells) >= 5
    for cell in cells:
        for line in cell.text.splitlines():
            if line.startswith("#"):
                english, dot, chinese = line.partition(" · ")
                assert dot and HAN.search(chinese) and not HAN.search(english), line
            elif not line.startswith(">"):
                assert not HAN.search(line), f"Chinese text stands in block quotes: {line}"
        english, chinese = notebooks.in_language(cell.text, "en"), notebooks.in_language(cell.text, "zh")
        prose = "\n".join(line for line in english.splitlines() if not line.startswith(("#", "    ")))
        letters, signs = len(re.findall("[A-Za-z]", prose)), len(HAN.findall(_body(chinese)))
        assert letters and signs, f"a text is missing:\n{cell.text}"
        assert 0.12 < signs / letters < 0.9, f"one text says far less than the other:\n{cell.text}"
        assert not re.search("[\u4e00-\u9fff][,;:?!]", chinese), f"Chinese punctuation is full width:\n{chinese}"


def _body(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("name", NAMES)
def test_each_lab_ends_with_exercises_and_asserts_its_claims(name):
    cells = notebooks.read_cells(tools.source_folder() / f"{name}.py")
    texts = [cell.text for cell in cells if cell.kind == "markdown"]
    assert texts[-1].startswith("## Exercises · 练习")
    assert f"check {name[:2]} --start" in texts[-1]
    assert cells[-1].text.startswith("lab.finish(")
    code = "\n".join(cell.text for cell in cells if cell.kind == "code")
    assert len(re.findall(r"^\s*assert ", code, re.MULTILINE)) >= 5
    assert "sys.path" not in code and "import *" not in code


def test_the_labs_are_numbered_without_a_gap():
    assert [name[:2] for name in NAMES] == [f"{number:02}" for number in range(1, len(NAMES) + 1)]


def test_the_list_says_what_was_run_and_solved(capsys):
    assert labs.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(NAMES)
    assert all("not run" in line and "0 of 3 solved" in line for line in lines)

    folder = tools.notes_folder(NAMES[0])
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"finished": "2024-02-29 12:00"}')
    (folder / "solved.json").write_text("{broken")
    tools.note_solved(NAMES[1], ["sigmoid"])
    labs.main([])
    lines = capsys.readouterr().out.splitlines()
    assert "run 2024-02-29 12:00" in lines[0] and "0 of 3" in lines[0]
    assert "not run" in lines[1] and "1 of 3" in lines[1]


@pytest.mark.parametrize("language", notebooks.LANGUAGES)
def test_notebooks_hold_every_cell(language, tmp_path, capsys):
    assert labs.main(["--notebooks", "--lang", language, "--out", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(NAMES)
    for name in NAMES:
        book = json.loads((tmp_path / f"{name}.ipynb").read_text("utf-8"))
        assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
        cells = notebooks.read_cells(tools.source_folder() / f"{name}.py")
        assert [cell["cell_type"] for cell in book["cells"]] == [cell.kind for cell in cells]
        source = "\n".join("".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code")
        compile(source, name, "exec")
        prose = "\n".join("".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "markdown")
        assert bool(HAN.search(prose)) is (language != "en")
        assert (prose.startswith("# 1. Read")) is (name == NAMES[0] and language != "zh")


def test_a_cell_in_one_language():
    text = "## A rule · 规则\n\nRead on.\n\n    y = x\n\n> 继续读。\n> `y = x`"
    assert notebooks.in_language(text, "en") == "## A rule\n\nRead on.\n\n    y = x"
    assert notebooks.in_language(text, "zh") == "## 规则\n\n    y = x\n\n继续读。\n`y = x`"
    assert notebooks.in_language(text, "both") == text


def test_the_syllabus_links_every_lab_and_shows_its_picture():
    text = (tools.source_folder() / "README.md").read_text("utf-8")
    for name in NAMES:
        assert f"]({name}.py)" in text
        assert f"](../docs/labs/{name}.png)" in text
    linked = re.findall(r"\]\(([^):]+)\)", text)
    for target in linked:
        assert (tools.source_folder() / target).is_file(), target
