"""Right answers to lab 7."""

import numpy as np


def square_error(outputs, labels):
    return float(((outputs - labels.reshape(-1, 1).astype(np.float64)) ** 2).mean())


def train_epoch(net, optimizer, batches):
    import paddle
    import paddle.nn.functional as F

    losses = []
    for x, t in batches:
        loss = F.square_error_cost(net(paddle.to_tensor(x)), paddle.to_tensor(t.reshape(-1, 1))).mean()
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
    return losses


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
