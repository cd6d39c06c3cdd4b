"""Right answers to lab 15."""

import hashlib
import os


def resume_point(steps, samples, batch_size):
    return divmod(steps, -(-samples // batch_size))


def newest_whole(checkpoints):
    whole = (step for step, data, digest in checkpoints if hashlib.sha256(data).hexdigest() == digest)
    return max(whole, default=None)


def replace_file(path, data):
    new = path.with_name(path.name + ".new")
    try:
        with open(new, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
