"""The course's networks, as ``paddle.nn.Layer``s that return raw outputs.

No net here ends in a softmax: ``cross_entropy`` applies it, and ``learners`` does where probabilities are shown.
"""

from __future__ import annotations

import itertools

import paddle
import paddle.nn.functional as F
from paddle.nn import BatchNorm2D, Conv2D, Dropout, Flatten, Layer, Linear, MaxPool2D, ReLU, Sequential


class FC(paddle.nn.Layer):
    """The fully connected net of the course: two hidden layers of ten sigmoids.

    Args:
        num_outputs: 1 to predict the digit as a number on a line (regression), 10 for one score per digit.
    """

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__()
        self.fc1 = Linear(in_features=784, out_features=10)
        self.fc2 = Linear(in_features=10, out_features=10)
        self.fc3 = Linear(in_features=10, out_features=num_outputs)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """Map images [n, 1, 28, 28] to raw outputs [n, num_outputs]."""
        x = paddle.flatten(images, start_axis=1)  # [n, 784]
        x = F.sigmoid(self.fc1(x))  # [n, 10]
        x = F.sigmoid(self.fc2(x))  # [n, 10]
        return self.fc3(x)


class CNN(paddle.nn.Layer):
    """The convolutional net of the course: two 5×5 convolutions of 20 channels, each halved by max pooling.

    Args:
        num_outputs: 1 to predict the digit as a number on a line (regression), 10 for one score per digit.
    """

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__()
        self.conv1 = Conv2D(in_channels=1, out_channels=20, kernel_size=5, stride=1, padding=2)
        self.max_pool1 = MaxPool2D(kernel_size=2, stride=2)
        self.conv2 = Conv2D(in_channels=20, out_channels=20, kernel_size=5, stride=1, padding=2)
        self.max_pool2 = MaxPool2D(kernel_size=2, stride=2)
        self.fc = Linear(in_features=980, out_features=num_outputs)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """Map images [n, 1, 28, 28] to raw outputs [n, num_outputs]."""
        x = F.relu(self.conv1(images))  # [n, 20, 28, 28]
        x = self.max_pool1(x)  # [n, 20, 14, 14]
        x = F.relu(self.conv2(x))  # [n, 20, 14, 14]
        x = self.max_pool2(x)  # [n, 20, 7, 7]
        x = paddle.flatten(x, start_axis=1)  # [n, 980]
        return self.fc(x)


class MLP(paddle.nn.Layer):
    """One hidden layer of 512 ReLU units, as in the book *Deep Learning with Python*, chapter 2.

    Args:
        num_outputs: one score per digit.
    """

    def __init__(self, num_outputs: int = 10) -> None:
        super().__init__()
        self.fc1 = Linear(in_features=784, out_features=512)
        self.fc2 = Linear(in_features=512, out_features=num_outputs)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """Map images [n, 1, 28, 28] to raw outputs [n, num_outputs]."""
        x = paddle.flatten(images, start_axis=1)  # [n, 784]
        x = F.relu(self.fc1(x))  # [n, 512]
        return self.fc2(x)


def conv_block(channels: int, outputs: int, kernel: int = 3, padding: int = 1, pool: bool = False) -> list[Layer]:
    """Return a convolution, 2×2 max pooling if asked for, batch norm and ReLU, as a list of layers.

    Pooling comes first, because it leaves a quarter of the values to normalize.
    """
    conv = Conv2D(channels, outputs, kernel, padding=padding, bias_attr=False)  # batch norm adds a bias of its own
    return [conv, *([MaxPool2D(kernel_size=2, stride=2)] if pool else []), BatchNorm2D(outputs), ReLU()]


class Quick(Sequential):
    """Reaches 99 % in one epoch: two 5×5 convolutions without padding, 28×28 → 12×12 → 4×4. Arguments as of ``MLP``."""

    def __init__(self, num_outputs: int = 10) -> None:
        maps = conv_block(1, 16, 5, padding=0, pool=True) + conv_block(16, 32, 5, padding=0, pool=True)
        super().__init__(*maps, Flatten(), Linear(512, num_outputs))


class Strong(Sequential):
    """Four convolutions, 28×28 → 12×12 → 6×6 → 3×3, and dropout. Arguments as of ``MLP``."""

    width = 16

    def __init__(self, num_outputs: int = 10) -> None:
        one, two, four = self.width, 2 * self.width, 4 * self.width
        maps = conv_block(1, one, 5, padding=0, pool=True) + conv_block(one, two) + conv_block(two, two, pool=True)
        head = [Flatten(), Dropout(0.3), Linear(9 * four, num_outputs)]
        super().__init__(*maps, *conv_block(two, four, pool=True), *head)


class Stronger(Strong):
    """``Strong`` with three times as many channels, for seven minutes instead of one."""

    width = 48


class Tiny(Sequential):
    """Five narrow convolutions without padding, 28×28 → 12×12 → 6×6, and their means: 5,810 parameters.

    Arguments as of ``MLP``.
    """

    def __init__(self, num_outputs: int = 10) -> None:
        widths = itertools.pairwise((1, 8, 10, 12, 14, 16))
        blocks = [conv_block(a, b, padding=0, pool=i == 1) for i, (a, b) in enumerate(widths)]
        super().__init__(*itertools.chain(*blocks), paddle.nn.AdaptiveAvgPool2D(1), Flatten(), Linear(16, num_outputs))
