"""Wrong answers to lab 11, each with a slip that its name tells."""

from itertools import pairwise

import numpy as np


def count_parameters__forgets_biases(sizes):
    return sum(a * b for a, b in pairwise(sizes))


def count_parameters__gives_the_input_biases(sizes):
    return sum(a * b for a, b in pairwise(sizes)) + sum(sizes)


def count_parameters__counts_one_bias_for_each_layer(sizes):
    return sum(a * b + 1 for a, b in pairwise(sizes))


def count_parameters__multiplies_all(sizes):
    return int(np.prod(sizes))


def rmsprop_step__puts_epsilon_outside_the_root(w, g, m, lr, rho, epsilon):
    m = rho * m + (1 - rho) * g**2
    with np.errstate(all="ignore"):
        return w - lr * g / (np.sqrt(m) + epsilon), m


def rmsprop_step__uses_the_old_mean(w, g, m, lr, rho, epsilon):
    with np.errstate(all="ignore"):
        return w - lr * g / np.sqrt(m + epsilon), rho * m + (1 - rho) * g**2


def rmsprop_step__exchanges_rho(w, g, m, lr, rho, epsilon):
    m = (1 - rho) * m + rho * g**2
    return w - lr * g / np.sqrt(m + epsilon), m


def rmsprop_step__forgets_the_root(w, g, m, lr, rho, epsilon):
    m = rho * m + (1 - rho) * g**2
    return w - lr * g / (m + epsilon), m


def rmsprop_step__works_in_place(w, g, m, lr, rho, epsilon):
    m *= rho
    m += (1 - rho) * g**2
    w -= lr * g / np.sqrt(m + epsilon)
    return w, m


def rmsprop_step__keeps_the_mean_to_itself(w, g, m, lr, rho, epsilon):
    return w - lr * g / np.sqrt(rho * m + (1 - rho) * g**2 + epsilon)


def _stopper(forget, wait, compare):
    """Make a callback that stops wrongly: see the answers below."""
    import paddle

    class Stopper(paddle.callbacks.Callback):
        best, count = float("inf"), 0

        def on_eval_end(self, logs=None):
            loss = logs["loss"][0]
            if loss < self.best:
                self.count = 0 if forget else self.count
            else:
                self.count += 1
            self.best = compare(self.best, loss)
            if self.count >= wait:
                self.model.stop_training = True

    return Stopper


def early_stopping__ignores_patience(patience):
    return _stopper(True, 1, min)()


def early_stopping__is_one_too_patient(patience):
    return _stopper(True, patience + 1, min)()


def early_stopping__never_sets_the_count_back(patience):
    return _stopper(False, patience, min)()


def early_stopping__compares_with_the_last(patience):
    return _stopper(True, patience, lambda best, loss: loss)()


def early_stopping__returns_the_class(patience):
    return _stopper(True, patience, min)


def early_stopping__watches_the_training_loss(patience):
    import paddle

    class Stopper(paddle.callbacks.Callback):
        best, count = float("inf"), 0

        def on_epoch_end(self, epoch, logs=None):
            self.count = 0 if logs["loss"][0] < self.best else self.count + 1
            self.best = min(self.best, logs["loss"][0])
            self.model.stop_training = self.count >= patience

    return Stopper()
