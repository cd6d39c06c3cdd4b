"""The one exception for whatever a user can put right."""


class UserError(ValueError):
    """Something that was given is not what it should be.

    The message is one sentence that names the place (file, argument, sample), says what was found and what was
    expected, and how to mend it. Command lines print it after ``paddle_mnist: error:`` and exit with status 2;
    notebooks see an ordinary ``ValueError``.
    """
