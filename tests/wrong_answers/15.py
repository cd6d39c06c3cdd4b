"""Wrong answers to lab 15, each with a slip that its name tells."""

import hashlib
import os


def resume_point__drops_the_last_batch(steps, samples, batch_size):
    """the last, smaller batch is a step too: round up"""
    return divmod(steps, max(samples // batch_size, 1))


def resume_point__batch_first(steps, samples, batch_size):
    """return the epoch first, then the batch"""
    return divmod(steps, -(-samples // batch_size))[::-1]


def resume_point__counts_from_one(steps, samples, batch_size):
    """epochs count from 0"""
    epoch, batch = divmod(steps, -(-samples // batch_size))
    return epoch + 1, batch


def resume_point__stays_in_the_finished_epoch(steps, samples, batch_size):
    """after the last batch of an epoch comes batch 0 of the next"""
    per_epoch = -(-samples // batch_size)
    epoch, batch = divmod(max(steps - 1, 0), per_epoch)
    return epoch, batch + (steps > 0)


def _whole(checkpoints):
    return [step for step, data, digest in checkpoints if hashlib.sha256(data).hexdigest() == digest]


def newest_whole__trusts_the_newest(checkpoints):
    """this is the newest, but it is damaged: compare hashlib.sha256(data).hexdigest()"""
    return max((step for step, _, _ in checkpoints), default=None)


def newest_whole__gives_up_at_the_first_damage(checkpoints):
    """a damaged checkpoint does not invalidate the others"""
    newest = None
    for step, data, digest in sorted(checkpoints, reverse=True):
        if hashlib.sha256(data).hexdigest() != digest:
            return newest
        newest = step if newest is None else newest
    return newest


def newest_whole__takes_the_last_in_the_list(checkpoints):
    """they come in any order: the largest step counts, not the last"""
    whole = _whole(checkpoints)
    return whole[-1] if whole else None


def newest_whole__compares_lengths(checkpoints):
    """this is the newest, but it is damaged: compare hashlib.sha256(data).hexdigest()"""
    whole = [step for step, data, _ in checkpoints if len(data) == len(f"weights after step {step}")]
    return max(whole, default=None)


def newest_whole__takes_step_0_for_none(checkpoints):
    """step 0 is a step, although 0 counts as false"""
    return max(_whole(checkpoints), default=0) or None


def replace_file__writes_in_place(path, data):
    """a process killed in the middle leaves a part: write a new file beside it, then use os.replace"""
    path.write_bytes(data)


def replace_file__removes_the_old_first(path, data):
    """write everything under another name before you touch this file"""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def replace_file__writes_a_half(path, data):
    """write all of data in binary mode, and close the file before it is renamed"""
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as file:
        file.write(data[: len(data) // 2])
    os.replace(new, path)


def replace_file__leaves_the_copy(path, data):
    """rename the new file with os.replace, or remove it"""
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    path.unlink(missing_ok=True)
    os.link(new, path)


def replace_file__appends(path, data):
    """it appends to the old content: open with 'wb'"""
    with open(path, "ab") as file:
        file.write(data)
