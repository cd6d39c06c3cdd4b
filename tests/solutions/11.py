"""Right answers to lab 11."""

from itertools import pairwise

import numpy as np


def count_parameters(sizes):
    return sum((a + 1) * b for a, b in pairwise(sizes))


def rmsprop_step(w, g, m, lr, rho, epsilon):
    m = rho * m + (1 - rho) * g**2
    return w - lr * g / np.sqrt(m + epsilon), m


def early_stopping(patience):
    import paddle

    class EarlyStopping(paddle.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.best, self.count = float("inf"), 0

        def on_eval_end(self, logs=None):
            if logs["loss"][0] < self.best:
                self.best, self.count = logs["loss"][0], 0
            else:
                self.count += 1
            if self.count >= patience:
                self.model.stop_training = True

    return EarlyStopping()
