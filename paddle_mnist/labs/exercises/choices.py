"""Exercises that ask what will happen: the student chooses an answer to each question before running anything.

The check never names the right choice. It says what is wrong with the chosen one, and which small experiment shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paddle_mnist.labs.exercises.base import Answer, Wrong, call

# What a stub's function returns until the student has chosen.
OPEN = "?"


@dataclass(frozen=True)
class Question:
    """One question with its choices.

    Attributes:
        topic: what it asks, in a few words.
        right: the letter of the right choice.
        remarks: what is wrong with each other choice, and how to see it.
    """

    topic: str
    right: str
    remarks: Mapping[str, str]


def body(count: int) -> str:
    """Return the lines that a stub gets in place of an empty body: a dict of open questions."""
    answers = ", ".join(f'{number}: "{OPEN}"' for number in range(1, count + 1))
    first = "    raise NotImplementedError  # delete this line, and replace each question mark with a letter\n"
    return f"{first}    return {{{answers}}}\n"


def check_choices(answer: Answer, questions: tuple[Question, ...]) -> None:
    """Compare the chosen letters with the right ones.

    Args:
        answer: returns a dict from the number of each question, 1, 2, …, to a letter.
        questions: in their order.

    Raises:
        Wrong: a question is open or its choice is wrong; the first such one is named.
    """
    found = call(answer, on="your choices")
    example = "return a letter for each question, such as {1: 'a', 2: 'b'}"
    if not isinstance(found, dict):
        raise Wrong(f"it returns a {type(found).__name__}, not a dict", "your choices", example)
    for number, question in enumerate(questions, start=1):
        on = f"question {number}: {question.topic}"
        letters = sorted({question.right, *question.remarks})
        choice = found.get(number)
        choice = choice.strip().lower() if isinstance(choice, str) else choice
        if choice == question.right:
            continue
        if choice not in letters:
            raise Wrong(f"{choice!r} is none of {', '.join(letters)}", on, example)
        raise Wrong(f"{choice} is not what happens", on, question.remarks[choice])
