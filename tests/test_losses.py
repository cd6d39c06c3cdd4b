from __future__ import annotations

import numpy as np

from paddle_mnist.losses import cross_entropy, softmax, squared_error


def test_losses_agree_with_paddle():
    import paddle
    import paddle.nn.functional as F

    rng = np.random.default_rng(0)
    scores, values = rng.normal(size=(7, 10)).astype(np.float32), rng.normal(size=(7, 1)).astype(np.float32)
    labels = rng.integers(0, 10, (7, 1))
    expected = F.cross_entropy(paddle.to_tensor(scores), paddle.to_tensor(labels), reduction="none").numpy()[:, 0]
    np.testing.assert_allclose(cross_entropy(scores, labels), expected, rtol=1e-5)
    expected = F.square_error_cost(paddle.to_tensor(values), paddle.to_tensor(labels.astype(np.float32))).numpy()[:, 0]
    np.testing.assert_allclose(squared_error(values, labels), expected, rtol=1e-5)


def test_large_scores_overflow_nowhere():
    scores = np.array([[1000.0, -1000.0], [-1000.0, -1000.0]])
    labels = np.array([[1], [0]])
    np.testing.assert_allclose(cross_entropy(scores, labels), [2000.0, np.log(2)])
    np.testing.assert_allclose(softmax(scores), [[1.0, 0.0], [0.5, 0.5]])
