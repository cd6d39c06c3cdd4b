"""What comes from outside is shown, never obeyed: no control character of a name or a value reaches a message."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import paddle_mnist
from paddle_mnist.errors import UserError, printable, quote

HARMFUL = [
    "\x1b]0;title\x07",  # sets a terminal's title
    "\x1b[2J",  # clears the screen
    "two\nlines\r",
    "\u202egnp.exe",  # shown from right to left
    "\u2066isolated\u2069",
    "\u200bzero width",
    "\ufeff",
    "\x9b31m",  # an escape sequence in one character
    "\udcff",  # a byte of a name that is not UTF-8
    "\x00\x7f\u2028\u2029",
    "\U000e0041",  # an invisible tag
]


@pytest.mark.parametrize("text", HARMFUL)
def test_printable_escapes_what_a_terminal_would_obey(text):
    shown = printable(f"before {text} after")
    assert shown.isprintable() and shown.encode().isascii()
    assert shown.startswith("before ") and shown.endswith(" after")
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["", "work/runs/cnn", "é ü 数字 \\n 'q'", "C:\\data\\x"])
def test_printable_returns_visible_text_as_it_is(text):
    assert printable(text) is text


@pytest.mark.parametrize("text", HARMFUL)
def test_user_error_is_one_line_whatever_is_put_into_it(text):
    error = UserError(f"{Path('folder', text)} must be {text!r}, got {text}")
    assert str(error).isprintable()
    assert UserError(str(error)).args == error.args


@pytest.mark.parametrize("text", HARMFUL)
def test_quote_shows_a_name_in_quotes(text):
    assert quote(text).isprintable() and quote(text)[0] == quote(text)[-1] == "'"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("fc1.weight", "'fc1.weight'"),
        (b"\x00a", "b'\\x00a'"),
        (7, "7"),
        (None, "None"),
        (1.5, "1.5"),
        (["a", 1], "['a', 1]"),
        (ValueError("two\n  lines"), "two lines"),
    ],
)
def test_quote_shows_other_values_on_one_line(value, shown):
    assert quote(value) == shown


@pytest.mark.parametrize("value", ["x" * 100_000, b"\xff" * 100_000, "\x1b" * 100_000, ["x" * 1000]])
def test_quote_cuts_long_values(value):
    assert len(quote(value)) == 80 and quote(value).endswith("…")
    assert len(quote(value, 20)) == 20


def test_no_exception_bypasses_user_error():
    """Messages are escaped by UserError itself, so no class that commands print may replace how it does that."""
    for path in Path(paddle_mnist.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and path.name != "errors.py":
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
                assert "UserError" not in bases or not methods & {"__init__", "__str__", "__new__"}, (path, node.name)


def test_standard_error_is_written_by_console_alone():
    """``console.fail`` and ``console.note`` escape what they print; another ``print`` to standard error would not."""
    for path in Path(paddle_mnist.__file__).parent.rglob("*.py"):
        if path.name == "console.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                to_stderr = any(keyword.arg == "file" for keyword in node.keywords)
                assert not to_stderr, f"{path}:{node.lineno}: use console.note"
