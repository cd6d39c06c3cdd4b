"""Right answers to lab 15 in other styles."""

import hashlib
import math


def resume_point__step_by_step(steps, samples, batch_size):
    epoch = batch = 0
    for _ in range(steps):
        batch += 1
        if batch * batch_size >= samples:
            epoch, batch = epoch + 1, 0
    return epoch, batch


def resume_point__with_ceil(steps, samples, batch_size):
    per_epoch = math.ceil(samples / batch_size)
    return [steps // per_epoch, steps % per_epoch]


def newest_whole__from_the_newest_down(checkpoints):
    for step, data, digest in sorted(checkpoints, key=lambda checkpoint: checkpoint[0], reverse=True):
        if hashlib.new("sha256", data).hexdigest() == digest:
            return step
    return None


def newest_whole__keeps_the_best_so_far(checkpoints):
    newest = None
    for step, data, digest in checkpoints:
        if hashlib.sha256(data).digest() == bytes.fromhex(digest):
            newest = step if newest is None or step > newest else newest
    return newest
