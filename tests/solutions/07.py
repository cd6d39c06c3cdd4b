"""Right answers to lab 7."""

import numpy as np


def square_error(outputs, labels):
    return float(((outputs - labels.reshape(-1, 1).astype(np.float64)) ** 2).mean())


def sgd_step(parameters, gradients, lr, clip_norm):
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    scale = clip_norm / norm if 0 < clip_norm < norm else 1.0
    return [p - lr * scale * g for p, g in zip(parameters, gradients, strict=True)]


def fit_line(x, t, lr, steps):
    import paddle

    x, t = paddle.to_tensor(x), paddle.to_tensor(t)
    w = paddle.zeros([x.shape[1], 1], "float64")
    b = paddle.zeros([1], "float64")
    for _ in range(steps):
        w.stop_gradient = b.stop_gradient = False
        ((x @ w + b - t) ** 2).mean().backward()
        w, b = (w - lr * w.grad).detach(), (b - lr * b.grad).detach()
    return w.numpy(), b.numpy()
