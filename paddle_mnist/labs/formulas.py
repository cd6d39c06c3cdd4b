"""Writes the labs' plain formulas, such as ``y[i] = Σ_k W[i, k] x[k]``, in TeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SYMBOLS = {
    "·": r"\cdot ",
    "≈": r"\approx ",
    "←": r"\leftarrow ",
    "→": r"\rightarrow ",
    "≠": r"\ne ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "×": r"\times ",
    "…": r"\dots ",
    "∂": r"\partial ",
    "½": r"\tfrac{1}{2}",
    "@": r"\,@\,",
    "%": r"\%",
    "#": r"\#",
    "&": r"\&",
    "{": r"\{",
    "}": r"\}",
}
_GREEK = dict(
    zip(
        "αβγδεηθλμπρσφω",
        "alpha beta gamma delta varepsilon eta theta lambda mu pi rho sigma varphi omega".split(),  # noqa: SIM905
        strict=True,
    )
)
_SUPERSCRIPTS = {"⁰": "0", "¹": "1", "²": "2", "³": "3", "⁴": "4", "ᵀ": r"\top", "ⁿ": "n", "⁻": "-"}
_SUBSCRIPTS = {"₀": "0", "₁": "1", "₂": "2", "₃": "3", "ᵢ": "i", "ⱼ": "j", "ₖ": "k", "ₙ": "n", "ₜ": "t"}
_FUNCTIONS = {"exp", "log", "sin", "cos", "tan", "tanh", "max", "min"}
_HATS = {"ŝ": "s", "ĝ": "g", "ŵ": "w", "ŷ": "y"}

# What the words in the labs' formulas are called in a notebook that is Chinese throughout. Other words are names.
CHINESE = {
    "a step goes down only while": "步长只在此条件下使损失下降",
    "below": "下层",
    "convolution": "卷积层",
    "curvature": "曲率",
    "edge": "边缘",
    "for": "当",
    "gradient": "梯度",
    "if": "若",
    "inputs": "输入数",
    "is the label, else": "是标签，否则为",
    "kernels": "卷积核",
    "label": "标签",
    "loss": "损失",
    "mean": "均值",
    "mean of": "均值",
    "norm": "范数",
    "outputs": "输出",
    "patch size": "块的大小",
    "patches": "块",
    "pixel": "像素",
    "rate": "学习率",
    "scale": "比例",
    "smallest loss": "最小损失",
    "sum of all": "对全部求和",
    "sum of the squares of all gradients of all parameters": "所有参数的所有梯度的平方和",
    "then": "再",
    "tiny": "极小数",
    "variance": "方差",
    "with": "其中",
    "with ReLU": "配合 ReLU",
    "with tanh": "配合 tanh",
}

_TOKEN = re.compile(
    r"(?P<slope>d[A-Za-z](?:\[[^\[\]]*\])?/d[A-Za-z](?:\[[^\[\]]*\])?)"
    r"|(?P<word>[A-Za-z]+)|(?P<number>[\d.]*\d)|(?P<space>\s+)|(?P<dots>\.\.\.)|(?P<power>\^\w+)|(?P<under>_\w+)"
    r"|(?P<other>.)"
)
_ROOT = re.compile(r"(?:√|\bsqrt)\(")
_WORD = r"[A-Za-z]{2,}(?:-[A-Za-z]+)*"
_PHRASE = re.compile(rf"(?:an? )?{_WORD}(?:,? +(?:an? )?{_WORD}(?![\[(_\w²ᵀ]))*")
_CODE = re.compile(r"^(python|pip|git|\$|>>>) ?|(^| )--\w|divmod|//|0b\d")


def is_formula(lines: Sequence[str]) -> bool:
    """Return whether the lines of an indented block are formulas, and not commands or code."""
    return not any(_CODE.search(line.strip()) for line in lines)


def block(lines: Sequence[str]) -> str:
    """Return a block of formulas in TeX, without the signs that begin and end one.

    Args:
        lines: of the block; three blanks or more separate columns.
    """
    aligned = [re.sub(r" {2,}(?==|←)", " ", line.strip()) for line in lines]
    table = [[tex(part) for part in re.split(r" {3,}", line)] for line in aligned]
    if len(table) == 1:
        return r" \qquad ".join(table[0])
    columns = "l" * max(len(row) for row in table)
    body = " \\\\\n".join(r" & ".join(row) for row in table)
    return f"\\begin{{array}}{{{columns}}}\n{body}\n\\end{{array}}"


def in_chinese(block: str) -> str:
    """Return a block of TeX with its English words in Chinese."""
    return re.sub(r"\\(text|operatorname)\{([^}]*)\}", lambda m: f"\\{m[1]}{{{CHINESE.get(m[2], m[2])}}}", block)


def tex(text: str) -> str:
    """Return one formula in TeX."""
    out: list[str] = []
    place = 0
    while place < len(text):
        if root := _ROOT.match(text, place):
            end = _closing(text, root.end() - 1)
            out.append(rf"\sqrt{{{tex(text[root.end() : end])}}}")
            place = end + 1
            continue
        if text[place] == "√":  # of one letter
            end = place + (3 if text[place + 2 : place + 3] == "\u0302" else 2)
            out.append(rf"\sqrt{{{tex(text[place + 1 : end])}}}")
            place = end
            continue
        if text[place] == "[" and place and (text[place - 1].isalpha() or text[place - 1] == "\u0302"):
            end = _closing(text, place)
            out.append(rf"_{{{tex(text[place + 1 : end])}}}")
            place = end + 1
            continue
        match = _TOKEN.match(text, place)
        assert match
        kind, token = match.lastgroup or "other", match[0]
        place = match.end()
        if kind == "word":
            place, token = _words(text, match.start(), place)
        following = text[place : place + 1]
        if following == "\u0302":  # a hat that is combined with the letter before
            place, token = place + 1, rf"\hat{{{token}}}"
        if kind == "under" and following == "[":  # two subscripts become one
            end = _closing(text, place)
            out.append(rf"_{{{_subscript(token[1:])}, {tex(text[place + 1 : end])}}}")
            place = end + 1
            continue
        out.append(_token(kind, token, following))
    return re.sub(r" +", " ", "".join(out)).strip().removeprefix(r"\,").removesuffix(r"\,").strip()


def _words(text: str, start: int, end: int) -> tuple[int, str]:
    """Take several words in a row together; return where they end, and the words."""
    article = text[start:end] in ("a", "an") and (start == 0 or text[:start].endswith(", "))
    word = text[start:end]
    if not article and (len(word) < 2 or word in _FUNCTIONS or text[end : end + 1] in ("(", "[", "_")):
        return end, word
    phrase = _PHRASE.match(text, start)
    if not phrase or re.fullmatch(r"d[A-Za-z]", word):
        return end, word
    return phrase.end(), phrase[0]


def _token(kind: str, token: str, following: str) -> str:
    if kind == "slope":
        above, below = token.split("/")
        return rf"\frac{{{tex(above)}}}{{{tex(below)}}}"
    if kind == "word":
        return _word(token, following)
    if kind == "dots":
        return r"\dots "
    if kind == "power":
        return f"^{{{token[1:]}}}"
    if kind == "under":
        return f"_{{{_subscript(token[1:])}}}"
    if token in _GREEK:
        return rf"\{_GREEK[token]} "
    if token == "Σ":
        return r"\sum " if following not in _SUBSCRIPTS and following != "_" else r"\sum"
    if token in _SUPERSCRIPTS:
        return f"^{{{_SUPERSCRIPTS[token]}}}"
    if token in _SUBSCRIPTS:
        return f"_{{{_SUBSCRIPTS[token]}}}"
    if token in _HATS:
        return rf"\hat{{{_HATS[token]}}}"
    return _SYMBOLS.get(token, " " if kind == "space" else token)


def _word(token: str, following: str) -> str:
    if token.startswith("\\") or len(token) == 1:
        return token
    if token in _FUNCTIONS:
        return rf"\{token} "
    if re.fullmatch(r"d[A-Za-z]", token):  # dW, the gradient of W
        return token
    if following == "(":
        return rf"\operatorname{{{token}}}"
    return rf"\,\text{{{token}}}" + ("" if following in ("[", "_", *_SUPERSCRIPTS) else r"\,")


def _subscript(name: str) -> str:
    return name if len(name) == 1 else rf"\text{{{name}}}"


def _closing(text: str, opening: int) -> int:
    """Return the place of the bracket that closes the one at ``opening``; the end of the text if there is none."""
    pairs = {"(": ")", "[": "]"}
    depth = 0
    for place in range(opening, len(text)):
        depth += (text[place] == text[opening]) - (text[place] == pairs[text[opening]])
        if not depth:
            return place
    return len(text)
