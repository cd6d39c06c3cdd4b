from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from paddle_mnist import console, data, evaluate, plot, predict, reproduce, train
from paddle_mnist.errors import UserError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UserError("digits.json: no such file"), "paddle_mnist: error: digits.json: no such file\n"),
        (PermissionError(13, "Permission denied", "work/x"), "paddle_mnist: error: work/x: Permission denied\n"),
        (PermissionError(13, "Permission denied", b"\xff\n"), "paddle_mnist: error: \\udcff\\n: Permission denied\n"),
        (
            MemoryError(),
            "paddle_mnist: error: out of memory: close other programs, or give this one more memory\n",
        ),
        (OSError("odd"), "paddle_mnist: error: odd\n"),
    ],
)
def test_run_reports_what_a_user_can_fix_in_one_sentence(capsys, error, words):
    def main(argv):
        raise error

    assert console.run(main, []) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", words)


def test_run_does_not_hide_a_bug():
    def main(argv):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        console.run(main, [])


def test_run_returns_130_after_an_interrupt():
    def main(argv):
        raise KeyboardInterrupt

    assert console.run(main, []) == 130


def test_show_escapes_what_a_terminal_obeys(capsys):
    console.show("a\x1b]0;b\x07\nsecond line \udcff 数字")
    assert capsys.readouterr().out == "a\\x1b]0;b\\x07\nsecond line \\udcff 数字\n"


@pytest.mark.parametrize("command", [data, evaluate, plot, predict, reproduce, train])
def test_parser_reports_wrong_arguments_in_one_sentence(capsys, command):
    assert console.run(command.main, ["info", "x", "--nothing\x1b[2J"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "\x1b" not in err
    assert err.startswith("paddle_mnist: error: ") and err.endswith(" --help\n")


def run(code: str, shell: str, path) -> subprocess.CompletedProcess[str]:
    """Run ``console.run(main)``, where ``main`` has this code, in a shell command that writes it as ``{}``."""
    script = path / "script.py"
    body = "".join(f"    {line}\n" for line in code.splitlines())
    head = "import sys\nfrom paddle_mnist import console\ndef main(argv):\n"
    script.write_text(f"{head}{body}    return 0\nsys.exit(console.run(main))\n", "utf-8")
    command = shell.format(f"'{sys.executable}' -W error '{script}'")
    return bash(f"set -o pipefail; {command}")


def bash(command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, encoding="utf-8", timeout=60)


posix = pytest.mark.skipif(os.name == "nt", reason="the redirections are those of a POSIX shell")
MUCH = "for line in range(100_000): print('line', line)"


@posix
@pytest.mark.parametrize(
    ("code", "shell", "status", "out"),
    [
        ("print('result')", "{} >&-", 0, ""),
        (MUCH, "{} >&-", 0, ""),
        ("console.note('remark')\nprint('result')", "{} 2>&-", 0, "result\n"),
        ("print('result')", "{} >&- 2>&-", 0, ""),
        ("return console.fail('wrong')", "{} >&- 2>&-", 2, ""),
        (MUCH, "{} | head -n 1", 1, "line 0\n"),
        ("for line in range(100_000): console.note(str(line))", "{} 2>&1 | head -n 1", 1, "paddle_mnist: 0\n"),
        ("print('result')", "{} | true", None, ""),
    ],
)
def test_run_ends_quietly_when_an_output_is_closed(tmp_path, code, shell, status, out):
    done = run(code, shell, tmp_path)
    assert (done.stdout, done.stderr) == (out, "")
    assert status in (None, done.returncode)


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_run_reports_a_full_output_in_one_sentence(tmp_path):
    done = run("print('result')", "{} > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "paddle_mnist: error: standard output: No space left on device\n"


@posix
def test_show_escapes_characters_that_the_encoding_lacks(tmp_path):
    done = run("print('数')\nconsole.show('\\udcff')", "PYTHONIOENCODING=ascii {}", tmp_path)
    assert (done.stdout, done.returncode) == ("\\u6570\n\\udcff\n", 0)


@posix
def test_commands_end_quietly_when_their_reader_has_left(own_folder):
    done = bash(f"'{sys.executable}' -m paddle_mnist.data info sample | true")
    assert (done.stdout, done.returncode) == ("", 0)
    assert all(line.startswith("paddle_mnist: ") for line in done.stderr.splitlines())


@posix
def test_predict_json_escapes_a_name_that_is_not_utf_8(own_folder, splits, capsys):
    from paddle_mnist.sources import mnist_json

    name = os.fsdecode(b"digits-\xff.json")
    mnist_json.write(name, splits)
    assert console.run(data.main, ["info", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == name


def test_plot_refuses_a_format_before_it_opens_anything(capsys):
    assert console.run(plot.main, ["nowhere", "--out", "x.foo"]) == 2
    assert capsys.readouterr().err == (
        "paddle_mnist: error: x.foo: a picture's name must end in .png, .svg, .pdf, .jpg, .jpeg, .webp\n"
    )
