from __future__ import annotations

import pytest

from paddle_mnist import console
from paddle_mnist.errors import UserError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UserError("digits.json: no such file"), "paddle_mnist: error: digits.json: no such file\n"),
        (PermissionError(13, "Permission denied", "work/x"), "paddle_mnist: error: work/x: Permission denied\n"),
        (OSError("odd"), "paddle_mnist: error: odd\n"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(capsys, error, words):
    def main(argv):
        raise error

    assert console.run(main, []) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", words)


def test_a_fault_of_ours_is_not_hidden():
    def main(argv):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        console.run(main, [])


def test_an_interrupt_has_its_own_status():
    def main(argv):
        raise KeyboardInterrupt

    assert console.run(main, []) == 130
