"""Wrong answers to lab 15, each with a slip that its name tells."""

import hashlib
import os


def resume_point__drops_the_last_batch(steps, samples, batch_size):
    return divmod(steps, max(samples // batch_size, 1))


def resume_point__batch_first(steps, samples, batch_size):
    return divmod(steps, -(-samples // batch_size))[::-1]


def resume_point__counts_from_one(steps, samples, batch_size):
    epoch, batch = divmod(steps, -(-samples // batch_size))
    return epoch + 1, batch


def resume_point__stays_in_the_finished_epoch(steps, samples, batch_size):
    per_epoch = -(-samples // batch_size)
    epoch, batch = divmod(max(steps - 1, 0), per_epoch)
    return epoch, batch + (steps > 0)


def _whole(checkpoints):
    return [step for step, data, digest in checkpoints if hashlib.sha256(data).hexdigest() == digest]


def newest_whole__trusts_the_newest(checkpoints):
    return max((step for step, _, _ in checkpoints), default=None)


def newest_whole__gives_up_at_the_first_damage(checkpoints):
    newest = None
    for step, data, digest in sorted(checkpoints, reverse=True):
        if hashlib.sha256(data).hexdigest() != digest:
            return newest
        newest = step if newest is None else newest
    return newest


def newest_whole__takes_the_last_in_the_list(checkpoints):
    whole = _whole(checkpoints)
    return whole[-1] if whole else None


def newest_whole__compares_lengths(checkpoints):
    whole = [step for step, data, _ in checkpoints if len(data) == len(f"weights after step {step}")]
    return max(whole, default=None)


def newest_whole__takes_step_0_for_none(checkpoints):
    return max(_whole(checkpoints), default=0) or None


def replace_file__writes_in_place(path, data):
    path.write_bytes(data)


def replace_file__removes_the_old_first(path, data):
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def replace_file__writes_a_half(path, data):
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as file:
        file.write(data[: len(data) // 2])
    os.replace(new, path)


def replace_file__leaves_the_copy(path, data):
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    path.unlink(missing_ok=True)
    os.link(new, path)


def replace_file__appends(path, data):
    with open(path, "ab") as file:
        file.write(data)
