"""Wrong answers to lab 7, each with a slip that its name tells."""

import numpy as np


def square_error__broadcasts(outputs, labels):
    """[n, 1] minus [n] is broadcast to [n, n]: reshape labels to [n, 1] first"""
    return float(((outputs - labels) ** 2).mean())


def square_error__sums(outputs, labels):
    """this is the sum: divide by the number of samples"""
    return float(((outputs - labels.reshape(-1, 1)) ** 2).sum())


def square_error__takes_the_mean_first(outputs, labels):
    """square first, then take the mean"""
    return float((outputs - labels.reshape(-1, 1)).mean() ** 2)


def square_error__returns_one_for_each_sample(outputs, labels):
    """return one number: the mean of these"""
    return (outputs - labels.reshape(-1, 1)) ** 2


def _fit(x, t, lr, steps, clear=True, reduce="mean"):
    import paddle

    x, t = paddle.to_tensor(x), paddle.to_tensor(t)
    w = paddle.zeros([x.shape[1], 1], "float64")
    b = paddle.zeros([1], "float64")
    w.stop_gradient = b.stop_gradient = False
    for _ in range(steps):
        getattr((x @ w + b - t) ** 2, reduce)().backward()
        with paddle.no_grad():
            w.set_value(w - lr * w.grad)
            b.set_value(b - lr * b.grad)
        if clear:
            w.clear_gradient()
            b.clear_gradient()
    return w.numpy(), b.numpy()


def fit_line__never_clears(x, t, lr, steps):
    """the gradients are not cleared: they add up from step to step"""
    return _fit(x, t, lr, steps, clear=False)


def fit_line__sums(x, t, lr, steps):
    """the loss is the mean over the samples, not the sum"""
    return _fit(x, t, lr, steps, reduce="sum")


def fit_line__takes_one_step_too_few(x, t, lr, steps):
    """there is one step too few"""
    return _fit(x, t, lr, max(steps - 1, 0))


def fit_line__climbs(x, t, lr, steps):
    """it goes uphill: subtract lr times the gradient"""
    return _fit(x, t, -lr, steps)


def fit_line__solves_by_least_squares(x, t, lr, steps):
    """with no steps, w and b stay at 0"""
    solved = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), t, rcond=None)[0]
    return solved[:-1], solved[-1]


def _epoch(net, optimizer, batches, column=True, clear=True, late=False, number=float):
    import paddle
    import paddle.nn.functional as F

    losses = []
    for x, t in batches:
        labels = paddle.to_tensor(t.reshape(-1, 1) if column else t)
        loss = F.square_error_cost(net(paddle.to_tensor(x)), labels).mean()
        if late:
            optimizer.step()
        if late and clear:
            optimizer.clear_grad()
        loss.backward()
        if not late:
            optimizer.step()
        if clear and not late:
            optimizer.clear_grad()
        losses.append(number(loss))
    return losses


def train_epoch__broadcasts(net, optimizer, batches):
    """[n, 1] minus [n] is broadcast to [n, n]"""
    return _epoch(net, optimizer, batches, column=False)


def train_epoch__never_clears(net, optimizer, batches):
    """clear them after each step"""
    return _epoch(net, optimizer, batches, clear=False)


def train_epoch__steps_before_backward(net, optimizer, batches):
    """the step comes before backward"""
    return _epoch(net, optimizer, batches, late=True)


def train_epoch__keeps_tensors(net, optimizer, batches):
    """keep float(loss)"""
    return _epoch(net, optimizer, batches, number=lambda loss: loss)


def train_epoch__is_as_given(net, optimizer, batches):
    """the step comes before backward"""
    return _epoch(net, optimizer, batches, column=False, clear=False, late=True)


def square_error__root(outputs, labels):
    """no root is asked for"""
    return float(np.sqrt(((outputs - np.reshape(labels, (-1, 1))) ** 2).mean()))


def square_error__abs(outputs, labels):
    """these are absolute errors: square them"""
    return float(np.abs(outputs - np.reshape(labels, (-1, 1)).astype(float)).mean())
