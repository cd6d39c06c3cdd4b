"""Wrong answers to lab 15, each with a slip that its name tells."""

import hashlib

import numpy as np


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


def _left(samples, batch_size, generator, first):
    order = generator.permutation(samples)
    return [order[start : start + batch_size] for start in range(first, samples, batch_size)]


def batches_left__gives_every_epoch_the_same_order(samples, batch_size, seed, epoch, done):
    """the epoch has no influence"""
    return _left(samples, batch_size, np.random.default_rng(seed), done * batch_size)


def batches_left__adds_seed_and_epoch(samples, batch_size, seed, epoch, done):
    """seed and epoch are added"""
    return _left(samples, batch_size, np.random.default_rng(seed + epoch), done * batch_size)


def batches_left__begins_again(samples, batch_size, seed, epoch, done):
    """batches that were done come again"""
    return _left(samples, batch_size, np.random.default_rng([seed, epoch]), 0)


def batches_left__uses_the_global_state(samples, batch_size, seed, epoch, done):
    """use a generator of your own"""
    np.random.seed([seed, epoch])
    order = np.random.permutation(samples)
    return [order[start : start + batch_size] for start in range(done * batch_size, samples, batch_size)]


def batches_left__drops_the_last(samples, batch_size, seed, epoch, done):
    """the last, smaller batch is missing"""
    parts = _left(samples, batch_size, np.random.default_rng([seed, epoch]), done * batch_size)
    return [part for part in parts if len(part) == batch_size]


def batches_left__shuffles_the_rest(samples, batch_size, seed, epoch, done):
    """shuffle all samples first, then skip"""
    rest = np.random.default_rng([seed, epoch]).permutation(np.arange(done * batch_size, samples))
    return [rest[start : start + batch_size] for start in range(0, len(rest), batch_size)]


def newest_whole__md5(checkpoints):
    """no checkpoint is damaged here: compare hashlib.sha256(data).hexdigest()"""
    ok = [s for s, d, g in checkpoints if hashlib.md5(d).hexdigest() == g]
    return max(ok, default=None)


def newest_whole__index_instead_of_step(checkpoints):
    """return the step, not its index in the list"""
    ok = [i for i, (s, d, g) in enumerate(checkpoints) if hashlib.sha256(d).hexdigest() == g]
    return max(ok, default=None)


def newest_whole__max_fails_when_empty(checkpoints):
    """there may be no whole checkpoint: max(..., default=None)"""
    return max((s for s, d, g in checkpoints if hashlib.sha256(d).hexdigest() == g))


def resume_point__multiplies(steps, samples, batch_size):
    """an epoch has samples / batch_size steps, rounded up, not samples"""
    return (steps // samples, steps % samples)


def batches_left__returns_lists_of_sizes(samples, batch_size, seed, epoch, done):
    """return the indices of the samples, not how many there are"""
    o = np.random.default_rng([seed, epoch]).permutation(samples)
    return [len(o[f : f + batch_size]) for f in range(done * batch_size, samples, batch_size)]


def batches_left__permutes_with_seed_epoch(samples, batch_size, seed, epoch, done):
    """the epoch has no influence: every epoch gets the same order"""
    o = np.random.default_rng(seed * epoch).permutation(samples)
    return [o[f : f + batch_size] for f in range(done * batch_size, samples, batch_size)]


def batches_left__skips_done_samples_not_batches(samples, batch_size, seed, epoch, done):
    """done counts batches, not samples"""
    o = np.random.default_rng([seed, epoch]).permutation(samples)
    return [o[f : f + batch_size] for f in range(done, samples, batch_size)]


def resume_point__floor_batches(steps, samples, batch_size):
    """the last, smaller batch is a step too: round up"""
    return divmod(steps, max(1, samples // batch_size))
