"""The texts of the playground: the same in both languages, and none missing."""

from __future__ import annotations

import re
from pathlib import Path

from paddle_mnist import play
from paddle_mnist.play.form import form

WEB = Path(play.__file__).parent / "web"


def texts(language: str) -> dict[str, str]:
    """Return the texts of a language by their keys."""
    content = (WEB / "texts" / f"{language}.js").read_text("utf-8")
    return dict(re.findall(r'^  (\w+):\s+"(.*)",$', content, re.MULTILINE))


def test_texts_exist_in_both_languages_with_the_same_places_for_values():
    english, chinese = texts("en"), texts("zh")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[key])), key


def test_texts_exist_for_everything_the_page_says():
    used = set()
    for path in [*WEB.glob("*.js"), *WEB.glob("*.html")]:
        used |= set(re.findall(r'(?:\bt\(|data-text=|data-label=)"(\w+)"', path.read_text("utf-8")))
    assert used
    assert used - texts("en").keys() == set()


def test_texts_exist_for_every_field_of_the_form():
    for field in form()["fields"]:
        assert {f"field_{field['name']}", f"meaning_{field['name']}"} <= texts("en").keys()
