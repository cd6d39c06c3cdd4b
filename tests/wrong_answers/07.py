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


def _pairs(parameters, gradients):
    return zip(parameters, gradients, strict=True)


def sgd_step__does_not_clip(parameters, gradients, lr, clip_norm):
    """the gradients are not clipped"""
    return [p - lr * g for p, g in _pairs(parameters, gradients)]


def sgd_step__climbs(parameters, gradients, lr, clip_norm):
    """it goes uphill: subtract lr times the gradient"""
    return [p + lr * g for p, g in _pairs(parameters, gradients)]


def sgd_step__lengthens_short_gradients(parameters, gradients, lr, clip_norm):
    """gradients shorter than clip_norm stay unchanged, and 0 means no clipping"""
    norm = np.sqrt(sum((g**2).sum() for g in gradients)) or 1.0
    scale = clip_norm / norm if clip_norm else 1.0
    return [p - lr * scale * g for p, g in _pairs(parameters, gradients)]


def sgd_step__clips_each_array(parameters, gradients, lr, clip_norm):
    """each array is clipped by its own norm: the norm is that of all arrays together"""
    stepped = []
    for p, g in _pairs(parameters, gradients):
        norm = np.linalg.norm(g)
        stepped.append(p - lr * g * (clip_norm / norm if 0 < clip_norm < norm else 1.0))
    return stepped


def sgd_step__clips_each_element(parameters, gradients, lr, clip_norm):
    """each element is clipped separately, which changes the direction: scale the whole gradient"""
    limit = clip_norm or np.inf
    return [p - lr * np.clip(g, -limit, limit) for p, g in _pairs(parameters, gradients)]


def sgd_step__divides_by_no_norm(parameters, gradients, lr, clip_norm):
    """it divides by a norm of 0"""
    norm = np.float64(np.sqrt(sum((g**2).sum() for g in gradients)))
    with np.errstate(all="ignore"):
        scale = min(1.0, clip_norm / norm) if clip_norm and norm != 0 else (1.0 if not clip_norm else np.nan)
    return [p - lr * scale * g for p, g in _pairs(parameters, gradients)]


def sgd_step__works_in_place(parameters, gradients, lr, clip_norm):
    """an operator such as -= or x[...] = works in place; the caller still needs its list: make a new one"""
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    scale = clip_norm / norm if 0 < clip_norm < norm else 1.0
    for p, g in _pairs(parameters, gradients):
        p -= lr * scale * g
    return parameters


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
    """w and b begin at 0, w has shape [k, 1]; compute one step by hand and compare"""
    solved = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), t, rcond=None)[0]
    return solved[:-1], solved[-1]
