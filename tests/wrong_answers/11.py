"""Wrong answers to lab 11, each with a slip that its name tells."""

from itertools import pairwise

import numpy as np


def count_parameters__forgets_biases(sizes):
    """each output has a bias as well"""
    return sum(a * b for a, b in pairwise(sizes))


def count_parameters__gives_the_input_biases(sizes):
    """the input has no biases: begin with the second size"""
    return sum(a * b for a, b in pairwise(sizes)) + sum(sizes)


def count_parameters__counts_one_bias_for_each_layer(sizes):
    """a layer has a bias for each of its outputs, not one in all"""
    return sum(a * b + 1 for a, b in pairwise(sizes))


def count_parameters__multiplies_all(sizes):
    """layers add up: multiply only the two sizes of one layer"""
    return int(np.prod(sizes))


def rmsprop_step__puts_epsilon_outside_the_root(w, g, m, lr, rho, epsilon):
    """epsilon belongs under the root"""
    m = rho * m + (1 - rho) * g**2
    with np.errstate(all="ignore"):
        return w - lr * g / (np.sqrt(m) + epsilon), m


def rmsprop_step__uses_the_old_mean(w, g, m, lr, rho, epsilon):
    """the step uses the old m: use the new one"""
    with np.errstate(all="ignore"):
        return w - lr * g / np.sqrt(m + epsilon), rho * m + (1 - rho) * g**2


def rmsprop_step__exchanges_rho(w, g, m, lr, rho, epsilon):
    """rho belongs to the old m, 1 - rho to the new square"""
    m = (1 - rho) * m + rho * g**2
    return w - lr * g / np.sqrt(m + epsilon), m


def rmsprop_step__forgets_the_root(w, g, m, lr, rho, epsilon):
    """the root is missing"""
    m = rho * m + (1 - rho) * g**2
    return w - lr * g / (m + epsilon), m


def rmsprop_step__works_in_place(w, g, m, lr, rho, epsilon):
    """an operator such as -= or x[...] = works in place; the caller still needs its array: make a new one"""
    m *= rho
    m += (1 - rho) * g**2
    w -= lr * g / np.sqrt(m + epsilon)
    return w, m


def rmsprop_step__keeps_the_mean_to_itself(w, g, m, lr, rho, epsilon):
    """it returns w only: return w, m"""
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
    """it stops at the first loss that is not smaller: patience is ignored"""
    return _stopper(True, 1, min)()


def early_stopping__is_one_too_patient(patience):
    """it is one evaluation too patient"""
    return _stopper(True, patience + 1, min)()


def early_stopping__never_sets_the_count_back(patience):
    """count evaluations in a row: a new smallest loss resets the count to 0"""
    return _stopper(False, patience, min)()


def early_stopping__compares_with_the_last(patience):
    """compare with the smallest loss so far, not the previous one"""
    return _stopper(True, patience, lambda best, loss: loss)()


def early_stopping__returns_the_class(patience):
    """return an instance of it: put parentheses after its name"""
    return _stopper(True, patience, min)


def early_stopping__watches_the_training_loss(patience):
    """it watches the training loss: the validation loss comes with on_eval_end"""
    import paddle

    class Stopper(paddle.callbacks.Callback):
        best, count = float("inf"), 0

        def on_epoch_end(self, epoch, logs=None):
            self.count = 0 if logs["loss"][0] < self.best else self.count + 1
            self.best = min(self.best, logs["loss"][0])
            self.model.stop_training = self.count >= patience

    return Stopper()


def early_stopping__stops_itself_instead_of_the_model(patience):
    """it never sets self.model.stop_training = True"""
    import paddle

    class Stop(paddle.callbacks.Callback):
        best, count = float("inf"), 0

        def on_eval_end(self, logs=None):
            loss = logs["loss"][0]
            self.best, self.count = (loss, 0) if loss < self.best else (self.best, self.count + 1)
            if self.count >= patience:
                self.stop_training = True

    return Stop()


def rmsprop_step__takes_one_mean_for_all(w, g, m, lr, rho, epsilon):
    """m holds one number for each weight: do not average over the array"""
    m = rho * m + (1 - rho) * np.mean(g**2)
    return w - lr * g / np.sqrt(m + epsilon), m


def rmsprop_step__g_not_squared(w, g, m, lr, rho, epsilon):
    """the gradient is not squared"""
    m = rho * m + (1 - rho) * g
    return (w - lr * g / np.sqrt(np.abs(m) + epsilon), m)


def rmsprop_step__adds_to_m_adagrad(w, g, m, lr, rho, epsilon):
    """the old m keeps rho, the new square gets 1 - rho"""
    m = m + g**2
    return (w - lr * g / np.sqrt(m + epsilon), m)


def count_parameters__sum_of_sizes(sizes):
    """this adds the sizes: multiply the two sizes of each layer"""
    return sum(sizes)


def count_parameters__bias_per_pair_of_inputs(sizes):
    """there is a bias for each output, not for each input"""
    return sum((a * b + a for a, b in pairwise(sizes)))


def rmsprop_step__lr_inside(w, g, m, lr, rho, epsilon):
    """lr belongs to the step, not to the running mean"""
    m = rho * m + (1 - rho) * (lr * g) ** 2
    return (w - lr * g / np.sqrt(m + epsilon), m)
