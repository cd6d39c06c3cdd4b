"""The process that runs answers: whatever an answer does, there is one verdict for each exercise."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from paddle_mnist.labs import runner, tools
from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.verdicts import NO_VERDICT, NOT_ANSWERED, RIGHT, WRONG, Verdict

HERE = Path(__file__).parent
LAB, NAME = "15", "newest_whole"
EXERCISES = catalog.load(LAB, tools.numbers())
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the system knows no limit of memory")


def run(source: str, seconds: float = 1.0, memory: int = 1 << 30, names: tuple[str, ...] = (NAME,), **options: object):
    """Return the verdicts on some exercises of a lab."""
    exercises = [exercise for exercise in EXERCISES if exercise.name in names]
    limits = runner.Limits(seconds, memory)
    return list(runner.verdicts(LAB, exercises, "15.py", source.encode(), limits=limits, **options))


def one(body: str, **options: object) -> Verdict:
    """Return the verdict on an answer with this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    (verdict,) = run(f"import os, sys, time, threading\ndef {NAME}(checkpoints):\n{lines}\n", **options)
    return verdict


def test_verdicts_on_right_answers_are_right():
    source = (HERE / "solutions" / f"{LAB}.py").read_text("utf-8")
    names = tuple(exercise.name for exercise in EXERCISES)
    assert run(source, seconds=20, names=names) == [Verdict(name, RIGHT) for name in names]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("quit()", WRONG, "ends the program instead of returning"),
        ("sys.exit(0)", WRONG, "ends the program instead of returning"),
        ("raise KeyboardInterrupt", WRONG, "raises KeyboardInterrupt"),
        ("os._exit(0)", NO_VERDICT, "the answer ended the process (exit status 0)"),
        ("os._exit(7)", NO_VERDICT, "the answer ended the process (exit status 7)"),
        ("while True:\n    pass", NO_VERDICT, "still running after 1 s, in line 3\n   input: steps 100, 200 and 300"),
        ("time.sleep(60)", NO_VERDICT, "still running after 1 s, in line 3"),
        ("return [[1, 2], [3]]", WRONG, "it returns [[1, 2], [3]]; expected 300"),
        ("return newest_whole(checkpoints)", WRONG, "calls itself without end"),
        ("print('right')\nprint('1. newest_whole: right')", WRONG, "returns nothing (None)"),
        ("raise NotImplementedError", NOT_ANSWERED, ""),
        ("threading.Thread(target=time.sleep, args=(60,)).start()\nreturn 7", WRONG, "it returns 7"),
    ],
)
def test_verdicts_come_whatever_an_answer_does(body, kind, message):
    verdict = one(body)
    assert (verdict.exercise, verdict.kind) == (NAME, kind)
    assert message in verdict.message


LEFT = "it leaves a thread running: wait for its end with join()"
RIGHT_BODY = """
import hashlib
whole = [step for step, data, digest in checkpoints if hashlib.sha256(data).hexdigest() == digest]
return max(whole, default=None)"""


def test_verdicts_name_a_thread_that_is_left_running():
    assert one(RIGHT_BODY).kind == RIGHT
    verdict = one("threading.Thread(target=time.sleep, args=(60,)).start()" + RIGHT_BODY)
    assert (verdict.kind, verdict.message) == (NO_VERDICT, LEFT)


@LINUX
def test_verdicts_name_an_allocation_beyond_the_limit():
    verdict = one("return bytearray(3 << 30)")
    assert verdict.kind == WRONG
    assert "MemoryError" in verdict.message and "more memory than there is" in verdict.message


@POSIX
def test_verdicts_name_the_signal_of_a_crash():
    verdict = one("os.kill(os.getpid(), 11)")
    assert (verdict.kind, verdict.message) == (NO_VERDICT, "the answer ended the process (SIGSEGV)")


@pytest.mark.parametrize(
    "trick",
    [
        "from paddle_mnist.labs.exercises import base\nbase.expect = lambda *a, **k: None",
        "from paddle_mnist.labs.exercises import lab15\nlab15.expect = lab15.call = lambda *a, **k: None",
        "from paddle_mnist.labs import verdicts\nverdicts.judge = lambda *a: verdicts.Verdict('newest_whole', 'right')",
        "import sys\nsys.modules['paddle_mnist.labs.exercises.base'] = None",
        "import numpy\nnumpy.abs = lambda x: 0 * x",
        "import builtins\nbuiltins.AssertionError = BaseException",
        "import os\nfor fd in range(3, 30):\n    try: os.write(fd, b'0 {}\\n')\n    except OSError: pass",
        "import os\nfor fd in range(3, 30):\n    try: os.write(fd, b'x' * 100000)\n    except OSError: pass",
        "import os\nos.closerange(3, 30)",
        "import sys\nsys.stdout._channel.send(verdict=['newest_whole', 'right', ''])",
        "import sys\nsys.stdout = sys.stderr = None",
    ],
)
def test_verdicts_are_not_right_after_simple_tricks(trick):
    try:
        (verdict,) = run(f"{trick}\ndef {NAME}(checkpoints):\n    return 300\n")
    except runner.CannotRun:
        return
    assert verdict.kind in (WRONG, NO_VERDICT)


def test_verdicts_name_a_function_of_numpy_that_was_replaced():
    verdict = one("import numpy\nnumpy.abs = abs" + RIGHT_BODY)
    assert (verdict.kind, verdict.message) == (NO_VERDICT, "the file replaces numpy.abs, which the check needs")


def test_verdicts_go_on_after_an_answer_that_ends_its_process():
    source = (HERE / "solutions" / f"{LAB}.py").read_text("utf-8")
    source += f"\ndef {NAME}(checkpoints):\n    import os\n    os._exit(0)\n"
    kinds = [verdict.kind for verdict in run(source, 20, names=tuple(exercise.name for exercise in EXERCISES))]
    assert kinds == [RIGHT, NO_VERDICT, RIGHT]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", "15.py: line 1: this is not Python"),
        ("\n1 / 0", "15.py: line 2: ZeroDivisionError"),
        ("exit(3)", "15.py: line 1: the file ends the program"),
        ("import os; os._exit(0)", r"15.py: the answer ended the process \(exit status 0\)"),
        ("while True: pass", "15.py: still running after 0.5 s while the file is loaded, in line 1"),
        ("import no_such_module", "line 1: ModuleNotFoundError"),
        ("x = '\0'", "15.py: .*(null|not Python)"),
        ("\ufeffx = 1\ny =", "line 2"),
    ],
)
def test_verdicts_refuse_a_file_that_does_not_load_in_one_sentence(source, message):
    with pytest.raises(runner.CannotRun, match=message) as caught:
        run(source, seconds=0.5)
    assert "\n" not in str(caught.value)


def test_verdicts_come_after_a_loop_that_holds_python():
    began = time.monotonic()
    verdict = one("import re\nreturn re.match('(a|a)*b', 'a' * 60)", seconds=0.5)
    assert (verdict.kind, verdict.message) == (NO_VERDICT, "still running after 0.5 s and does not react")
    assert time.monotonic() - began < 20


def test_verdicts_show_prints_up_to_a_limit():
    shown: list[str] = []
    verdict = one("print('look')\nprint('x' * 100000)\nprint('more')", show=shown.append)
    text = "".join(shown)
    assert verdict.kind == WRONG
    assert text.startswith("look\nxxx")
    assert "more output is left out" in text and len(text) < 5000


@POSIX
def test_verdicts_end_programs_that_an_answer_started(tmp_path):
    mark = tmp_path / "mark"
    code = f"import time; time.sleep(1); open({str(mark)!r}, 'w')"
    one(f"import subprocess\nsubprocess.Popen([sys.executable, '-c', {code!r}])\nreturn 1")
    time.sleep(1.3)
    assert not mark.exists()
