"""A net with its loss and its optimizer, ready for the training loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_mnist import losses
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import Settings
from paddle_mnist.storage.weights import check_optimizer_state, check_state_dict

if TYPE_CHECKING:
    import paddle

# What each of Paddle's optimizers remembers of a parameter, by the endings of the names it is saved under.
ACCUMULATORS = {
    "sgd": (),
    "momentum": ("velocity_0",),
    "rmsprop": ("momentum_0", "mean_square_0", "mean_grad_0"),
    "adam": ("moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0"),
}


def build(settings: Settings, device: str = "cpu", plain: bool = False) -> PaddleLearner | NumpyLearner:
    """Make the learner that the settings describe, its weights drawn from ``settings.seed``.

    Args:
        device: ``"cpu"`` or ``"gpu"``; the NumPy nets know the CPU alone.
        plain: train through the layers as ``nets`` has them, without the faster equivalents of ``fast``.
    """
    if settings.is_numpy:
        return NumpyLearner(settings)
    return PaddleLearner(settings, device, plain)


class PaddleLearner:
    """A ``paddle.nn.Layer`` trained by one of Paddle's optimizers.

    Attributes:
        net: the layer; its parameters are the ones trained, whether by the plain or the faster way.
        optimizer: the ``paddle.optimizer.Optimizer``.
    """

    def __init__(self, settings: Settings, device: str = "cpu", plain: bool = False) -> None:
        import paddle

        from paddle_mnist import fast
        from paddle_mnist.nets import NETS

        if device == "gpu" and not paddle.device.is_compiled_with_cuda():
            raise UserError("this Paddle is built for the CPU alone: use --device cpu, or install paddlepaddle-gpu")
        paddle.set_device(device)
        paddle.seed(settings.seed)
        with _own_names():
            self.net = NETS[settings.net](num_outputs=1 if settings.task == "regress" else 10)
        self.optimizer = make_optimizer(settings, self.net.parameters())
        self.task, self.optimizer_name = settings.task, settings.optimizer
        self.forward = self.net if plain else fast.accelerate(self.net)
        self.fast_step = None if plain else fast.train_step(self.net, self.task, self.optimizer)

    def train_step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Descend once along the gradient of the batch's mean loss, and return that loss."""
        self.net.train()
        with _own_names():
            return (self.fast_step or self.plain_step)(images, labels)

    def plain_step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Do what ``train_step`` does as Paddle's own documentation would write it."""
        import paddle

        outputs = self.net(paddle.to_tensor(images))
        loss = self.batch_loss(outputs, paddle.to_tensor(labels))
        loss.backward()
        self.optimizer.step()
        self.optimizer.clear_grad()
        return float(loss)

    def batch_loss(self, outputs: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
        """Return the batch's mean loss: the squared error of the digit, or the cross entropy of the scores."""
        import paddle.nn.functional as F

        if self.task == "regress":
            return F.square_error_cost(outputs, labels).mean()
        return F.cross_entropy(outputs, labels)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return raw outputs [n, 1] or [n, 10] for images [n, 1, 28, 28], in eval mode and without gradients."""
        import paddle

        self.net.eval()
        with paddle.no_grad():
            return self.forward(paddle.to_tensor(images)).numpy()

    def loss(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return each sample's loss, float64 [n]."""
        return (losses.squared_error if self.task == "regress" else losses.cross_entropy)(outputs, labels)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return each digit's probability, float64 [n, 10], or ``None`` from a net that regresses."""
        return None if self.task == "regress" else losses.softmax(outputs)

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self.optimizer.get_lr()

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer.set_lr(float(value))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by name."""
        return {name: tensor.numpy() for name, tensor in self.net.state_dict().items()}

    def load_state_dict(self, state: dict[str, np.ndarray], where: str) -> None:
        """Take over weights after checking every name, shape and dtype; ``where`` names their file in an error."""
        check_state_dict(state, self.state_dict(), where)
        self.net.set_state_dict(state)

    def optimizer_state(self) -> dict[str, Any]:
        """Return what the optimizer remembers from step to step (momentum, moments), by name."""
        state = self.optimizer.state_dict()
        return {name: value.numpy() if hasattr(value, "numpy") else value for name, value in state.items() if name}

    def load_optimizer_state(self, state: dict[str, Any], where: str) -> None:
        """Give the optimizer back what ``optimizer_state`` returned, after checking every name and shape."""
        parameters = {parameter.name: parameter.numpy() for parameter in self.net.parameters()}
        check_optimizer_state(state, parameters, ACCUMULATORS[self.optimizer_name], where)
        self.optimizer.set_state_dict(dict(state))


class NumpyLearner:
    """One of the nets written by hand, trained by plain SGD."""

    def __init__(self, settings: Settings) -> None:
        from paddle_mnist.scratch import learners

        self.net = learners.build(settings.net, hidden=settings.hidden, seed=settings.seed)
        self.name, self.lr = settings.net, settings.lr

    def train_step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Descend once along the gradient of the batch's mean loss, and return that loss."""
        return self.net.train_step(_flat(images), labels[:, 0], self.lr)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the scores [n, 10] for images [n, 1, 28, 28]."""
        return self.net.outputs(_flat(images))

    def loss(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return each sample's loss, float64 [n]."""
        return self.net.loss(outputs, labels[:, 0])

    def probabilities(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return each digit's probability, float64 [n, 10], or ``None`` from sigmoids, which are no probabilities."""
        return None if self.name == "nielsen" else losses.softmax(outputs)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by name."""
        return self.net.state_dict()

    def load_state_dict(self, state: dict[str, np.ndarray], where: str) -> None:
        """Take over weights after checking every name, shape and dtype; ``where`` names their file in an error."""
        check_state_dict(state, self.state_dict(), where)
        self.net.load_state_dict(state)

    def optimizer_state(self) -> dict[str, Any]:
        """Return an empty dict: plain SGD remembers nothing."""
        return {}

    def load_optimizer_state(self, state: dict[str, Any], where: str) -> None:
        """Accept the empty dict that ``optimizer_state`` returned."""


def make_optimizer(settings: Settings, parameters: list[paddle.Tensor]) -> paddle.optimizer.Optimizer:
    """Make the optimizer that the settings name, for a net's parameters."""
    import paddle

    common = {
        "learning_rate": float(settings.lr),
        "parameters": parameters,
        "weight_decay": paddle.regularizer.L2Decay(settings.weight_decay) if settings.weight_decay else None,
        "grad_clip": paddle.nn.ClipGradByGlobalNorm(settings.clip_norm) if settings.clip_norm else None,
    }
    if settings.optimizer == "sgd":
        return paddle.optimizer.SGD(**common)
    if settings.optimizer == "momentum":
        return paddle.optimizer.Momentum(momentum=0.9, **common)
    if settings.optimizer == "rmsprop":
        # Keras's constants. Paddle's own epsilon of 1e-6 stands under a root, and damps small gradients a great deal.
        return paddle.optimizer.RMSProp(rho=0.9, epsilon=1e-7, **common)
    return paddle.optimizer.Adam(**common)


def _own_names():
    """Number Paddle's names from 0 within the block.

    Paddle counts parameters and optimizer accumulators over the whole process and saves optimizer state under
    those names. Counting anew lets the second net of a process take up the first one's checkpoint.
    """
    import paddle

    return paddle.utils.unique_name.guard()


def _flat(images: np.ndarray) -> np.ndarray:
    """Lay images [n, 1, 28, 28] out as rows [n, 784], as the NumPy nets take them."""
    return images.reshape(len(images), -1)
