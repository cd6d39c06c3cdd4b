"""Right answers to lab 15."""

import hashlib

import numpy as np


def resume_point(steps, samples, batch_size):
    return divmod(steps, -(-samples // batch_size))


def newest_whole(checkpoints):
    whole = (step for step, data, digest in checkpoints if hashlib.sha256(data).hexdigest() == digest)
    return max(whole, default=None)


def batches_left(samples, batch_size, seed, epoch, done):
    order = np.random.default_rng([seed, epoch]).permutation(samples)
    return [order[first : first + batch_size] for first in range(done * batch_size, samples, batch_size)]
