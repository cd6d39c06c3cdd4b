"""The labs' formulas in TeX."""

from __future__ import annotations

import re

import pytest

from paddle_mnist.labs import cells, formulas, tools


@pytest.mark.parametrize(
    ("plain", "wanted"),
    [
        ("u = x w", "u = x w"),
        ("L = v²", "L = v^{2}"),
        ("y[i] = Σ_k W[i, k] x[k]", r"y_{i} = \sum_{k} W_{i, k} x_{k}"),
        ("dW = xᵀ dy", r"dW = x^{\top} dy"),
        ("dL/dz[c] = p[c]", r"\frac{dL}{dz_{c}} = p_{c}"),
        ("error = √(p (1 - p) / n)", r"\text{error}\, = \sqrt{p (1 - p) / n}"),
        ("√ŝ", r"\sqrt{\hat{s}}"),
        ("m\u0302 = m / (1 - 0.9^t)", r"\hat{m} = m / (1 - 0.9^{t})"),
        ("δ_below[s, j]", r"\delta _{\text{below}, s, j}"),
        ("sigmoid(z) = 1 / (1 + exp(-z))", r"\operatorname{sigmoid}(z) = 1 / (1 + \exp (-z))"),
        ("smallest loss = 1.5", r"\text{smallest loss}\, = 1.5"),
        ("w ← w - rate · g", r"w \leftarrow w - \,\text{rate}\, \cdot g"),
    ],
)
def test_tex_writes_a_formula(plain, wanted):
    assert formulas.tex(plain) == wanted


def test_block_arranges_several_formulas():
    assert formulas.block(["a = b,   c = d"]) == r"a = b, \qquad c = d"
    assert formulas.block(["a   = b", "c"]) == "\\begin{array}{l}\na = b \\\\\nc\n\\end{array}"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("    y = x²", True),
        ("    python -m paddle_mnist.train --net fc", False),
        ("    e, b = divmod(s, n)", False),
    ],
)
def test_is_formula_leaves_commands_and_code_alone(line, wanted):
    assert formulas.is_formula([line]) is wanted


@pytest.mark.parametrize("name", tools.names())
def test_block_closes_every_brace_in_the_labs(name):
    for cell in cells.read_cells(tools.source_folder() / f"{name}.py"):
        for line in cell.text.splitlines() if cell.kind == "markdown" else ():
            if line.startswith("    ") and formulas.is_formula([line]):
                tex = formulas.block([line])
                depth = 0
                for sign in re.findall(r"(?<!\\)[{}]", tex):
                    depth += 1 if sign == "{" else -1
                    assert depth >= 0, tex
                assert depth == 0, tex
                assert not re.search("[²³ᵀΣ√·≈←≠…½ᵢⱼ]", tex), tex


NAMES = {"Adam", "He", "Linear", "Momentum", "RMSProp", "SGD", "Xavier", "epsilon", "loss", "lr", "sigmoid"}


@pytest.mark.parametrize("name", tools.names())
def test_in_chinese_leaves_no_english_word_in_the_labs(name):
    for cell in cells.read_cells(tools.source_folder() / f"{name}.py"):
        for line in cell.text.splitlines() if cell.kind == "markdown" else ():
            if line.startswith("    ") and formulas.is_formula([line]):
                words = re.findall(r"\\text\{([A-Za-z ,]+)\}", formulas.in_chinese(formulas.block([line])))
                assert set(words) <= NAMES, line


def test_in_chinese_translates_words_only():
    assert formulas.in_chinese(r"\text{smallest loss}\, = \log (e)") == r"\text{最小损失}\, = \log (e)"
