"""The labs: each runs whole on a small budget, speaks both languages, and becomes a notebook."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import forked
import pytest

from paddle_mnist.labs import __main__ as labs
from paddle_mnist.labs import cells, execute, notebooks, pages, tools

NAMES = tools.names()
HAN = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
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
    forked.start_server()
    return settings


def run_as_script(lab: Path, folder: Path, environment: dict[str, str], log: Path) -> int:
    """Run a lab as its readers do, its output going to ``log``; return its exit status."""
    with open(log, "wb") as file:
        return subprocess.run(
            [sys.executable, "-W", "error", str(lab)],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=file,
            stderr=file,
            timeout=300,
        ).returncode


@pytest.mark.parametrize("name", NAMES)
def test_each_lab_runs_whole_from_any_folder(name, own_folder, environment, tmp_path):
    log = tmp_path / "log"
    # One is enough to see that scripts run; the others need not import Paddle again.
    run = run_as_script if name == NAMES[0] else forked.run_lab
    status = run(tools.source_folder() / f"{name}.py", own_folder, environment, log)
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
    texts = [cell for cell in cells.read_cells(tools.source_folder() / f"{name}.py") if cell.kind == "markdown"]
    assert len(texts) >= 5
    for cell in texts:
        for line in cell.text.splitlines():
            if line.startswith("#"):
                english, dot, chinese = line.partition(" · ")
                assert dot and HAN.search(chinese) and not HAN.search(english), line
            elif not line.startswith(">"):
                assert not HAN.search(line), f"Chinese text stands in block quotes: {line}"
        english, chinese = cells.in_language(cell.text, "en"), cells.in_language(cell.text, "zh")
        prose = "\n".join(line for line in english.splitlines() if not line.startswith(("#", "    ")))
        letters, signs = len(re.findall("[A-Za-z]", prose)), len(HAN.findall(_body(chinese)))
        assert letters and signs, f"a text is missing:\n{cell.text}"
        assert 0.12 < signs / letters < 0.9, f"one text says far less than the other:\n{cell.text}"
        assert not re.search("[\u4e00-\u9fff][,;:?!]", chinese), f"Chinese punctuation is full width:\n{chinese}"
        # Markdown ends bold text at "词**：" but not at "词：**词", where it would show the stars.
        assert not re.search(r"\*\*[^*\n]*[，。：；？！]\*\*\w", chinese), (
            f"punctuation stands after bold text:\n{chinese}"
        )


def _body(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("name", NAMES)
def test_each_lab_ends_with_exercises_and_asserts_its_claims(name):
    script = cells.read_cells(tools.source_folder() / f"{name}.py")
    texts = [cell.text for cell in script if cell.kind == "markdown"]
    assert texts[-1].startswith("## Exercises · 练习")
    assert f"check {name[:2]} --start" in texts[-1]
    assert script[-1].text.startswith("lab.finish(")
    code = "\n".join(cell.text for cell in script if cell.kind == "code")
    assert len(re.findall(r"^\s*assert ", code, re.MULTILINE)) >= 5
    assert "sys.path" not in code and "import *" not in code


def test_the_labs_are_numbered_without_a_gap():
    assert [name[:2] for name in NAMES] == [f"{number:02}" for number in range(1, len(NAMES) + 1)]


def test_list_says_what_was_run_and_solved_and_what_comes_next(capsys):
    assert labs.main([]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == len(NAMES)
    assert all("not run" in line and " 0 of " in line and " min " in line for line in lines)
    assert "Read the data · 读取数据" in lines[0]
    assert last == f"next: python labs/{NAMES[0]}.py"

    folder = tools.notes_folder(NAMES[0])
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"finished": "2024-02-29 12:00"}')
    (folder / "solved.json").write_text("{broken")
    tools.note_solved(NAMES[1], ["forward", "an exercise of an earlier edition"])
    labs.main(["--lang", "en"])
    *lines, last = capsys.readouterr().out.splitlines()
    assert "run 2024-02-29 12:00" in lines[0] and " 0 of 3" in lines[0] and "·" not in lines[0]
    assert "not run" in lines[1] and " 1 of 3" in lines[1]
    assert last == "next: python -m paddle_mnist.check 01 --start"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pages", "--lang", "zh"], "--lang has no effect with --pages"),
        (["--no-run"], "--no-run needs --notebooks"),
        (["--only", "03"], "--only and --out need"),
        (["--notebooks", "--only", "99"], "there is no lab '99'"),
    ],
)
def test_labs_refuses_options_without_effect(arguments, message):
    with pytest.raises(ValueError, match=message):
        labs.main(arguments)


@pytest.mark.parametrize("language", cells.LANGUAGES)
def test_notebooks_hold_every_cell_and_the_exercises(language, tmp_path, capsys):
    assert labs.main(["--notebooks", "--no-run", "--lang", language, "--out", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(NAMES)
    for name in NAMES:
        book = json.loads((tmp_path / f"{name}.ipynb").read_text("utf-8"))
        assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
        kinds = [cell["cell_type"] for cell in book["cells"]]
        script = cells.read_cells(tools.source_folder() / f"{name}.py")
        exercises = notebooks.exercises_of(name[:2])
        assert kinds.count("markdown") == sum(cell.kind == "markdown" for cell in script)
        assert kinds.count("code") == sum(cell.kind == "code" for cell in script) + len(exercises) + bool(exercises)
        assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
        source = "\n".join("".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code")
        compile(source, name, "exec")
        assert all(f"def {exercise.name}(" in source for exercise in exercises)
        assert not exercises or f'check.in_notebook("{name[:2]}", globals())' in source
        prose = "\n".join("".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "markdown")
        assert bool(HAN.search(prose)) is (language != "en")
        assert (prose.startswith("# 1. Read")) is (name == NAMES[0] and language != "zh")


LAB = """\
# %% [markdown]
# # 1. One · 一
#
# A text.
#
#     y = x²
#
# > 文字。

# %%
import inspect
from matplotlib import pyplot as plt

def square(x):
    return x**2

print(inspect.getsource(square).splitlines()[0])
plt.plot([1, 2])

# %%
print("two")
print("\\n".join(map(str, range(40))))

# %% [markdown]
# ## Exercises · 练习
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "01_one.py"
    path.write_text(LAB, "utf-8")
    return path


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[execute.Output]:
    """Return what the cells of ``LAB`` leave behind."""
    path = tmp_path_factory.mktemp("lab") / "01_one.py"
    path.write_text(LAB, "utf-8")
    return execute.run_lab(path)


def test_run_lab_keeps_what_each_cell_prints_and_draws(lab, outputs):
    first, second = outputs
    assert first.text == "def square(x):\n"
    assert len(first.pictures) == 1 and first.pictures[0].startswith(b"\x89PNG")
    assert second.text.startswith("two\n0\n") and not second.pictures
    lab.write_text("# %%\nx = 1\n\n# %%\nraise KeyError('missing')\n")
    with pytest.raises(ValueError, match=r"01_one.py stops: KeyError: 'missing'"):
        execute.run_lab(lab)


def test_write_notebook_shows_outputs_and_formulas(lab, outputs, tmp_path):
    path = notebooks.write_notebook(lab, tmp_path, "en", outputs)
    book = json.loads(path.read_text("utf-8"))
    text, code, _ = (cell for cell in book["cells"][:3])
    assert "".join(text["source"]) == "# 1. One\n\nA text.\n\n$$\ny = x^{2}\n$$"
    assert [output["output_type"] for output in code["outputs"]] == ["stream", "display_data"]


def test_write_page_shows_outputs_formulas_and_pictures(lab, outputs, tmp_path):
    out = tmp_path / "docs"
    page = pages.write_page(lab, out, outputs, [lab.stem])
    text = page.read_text("utf-8")
    assert "```math\ny = x^{2}\n```" in text and "```text\ndef square(x):\n```" in text
    assert "lines are left out" in text and "[script · 脚本](../01_one.py)" in text
    (picture,) = re.findall(r"\]\((pages/.+png)\)", text)
    assert (out / picture).is_file()
    assert pages.is_current(lab, out)
    lab.write_text(LAB.replace("A text.", "Another text."), "utf-8")
    assert not pages.is_current(lab, out)
    pages.write_page(lab, out, [execute.Output(), execute.Output()], [lab.stem])
    assert not (out / picture).exists(), "old pictures go"


def test_each_lab_has_a_page_whose_links_lead_somewhere():
    folder = tools.source_folder().parent / "docs" / "labs"
    assert sorted(page.stem for page in folder.glob("*.md")) == NAMES
    for page in folder.glob("*.md"):
        prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^):]+)\)", prose):
            assert (folder / target).is_file(), f"{page.name}: {target}"
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 3_000_000


def test_in_language_chooses_a_part_of_a_cell():
    text = "## A rule · 规则\n\nRead on.\n\n    y = x\n\n> 继续读。\n> `y = x`"
    assert cells.in_language(text, "en") == "## A rule\n\nRead on.\n\n    y = x"
    assert cells.in_language(text, "zh") == "## 规则\n\n    y = x\n\n继续读。\n`y = x`"
    assert cells.in_language(text, "both") == text


def test_the_syllabus_links_every_lab_and_shows_its_picture():
    text = (tools.source_folder() / "README.md").read_text("utf-8")
    for name in NAMES:
        assert f"]({name}.py)" in text
        assert f"](../docs/labs/{name}.png)" in text
    linked = re.findall(r"\]\(([^):]+)\)", text)
    for target in linked:
        assert (tools.source_folder() / target).is_file(), target
