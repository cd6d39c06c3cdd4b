"""A net with its loss and its optimizer: one gradient step, and what the net answers.

``train_step`` is what the course is about. The rest of the class answers questions (outputs, losses, probabilities)
and takes state out and in (weights, optimizer), so that a run can stop and resume.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F

from paddle_mnist import fast, nets
from paddle_mnist.distributed.team import ALONE, Team
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import NETS, Settings
from paddle_mnist.scratch.learners import NumpyLearner
from paddle_mnist.storage.weights import check_optimizer_state, check_state_dict

# What each of Paddle's optimizers keeps for a parameter, by the suffixes of the names that it is saved under.
ACCUMULATORS = {
    "sgd": (),
    "momentum": ("velocity_0",),
    "rmsprop": ("momentum_0", "mean_square_0", "mean_grad_0"),
    "adam": ("moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0"),
}


def build(
    settings: Settings, device: str = "cpu", plain: bool = False, team: Team = ALONE
) -> PaddleLearner | NumpyLearner:
    """Build the learner that the settings describe, with weights drawn from ``settings.seed``.

    Args:
        device: ``"cpu"`` or ``"gpu"``; the NumPy nets run on the CPU only.
        plain: train through Paddle's own layers, without the faster equivalents in ``fast``.
        team: the processes that train the net together; a net in NumPy is trained by one.
    """
    return NumpyLearner(settings) if settings.is_numpy else PaddleLearner(settings, device, plain, team)


class PaddleLearner:
    """A ``paddle.nn.Layer`` trained by one of Paddle's optimizers.

    Attributes:
        net: the layer.
        optimizer: the ``paddle.optimizer.Optimizer`` of its parameters.
        task: ``"regress"`` or ``"classify"``; decides the loss.
        step: the number of the next step; with the seed it decides the masks of dropout.
        team: the processes that train the net together.
    """

    def __init__(self, settings: Settings, device: str = "cpu", plain: bool = False, team: Team = ALONE) -> None:
        if device == "gpu" and not paddle.device.is_compiled_with_cuda():
            raise UserError("device must be cpu: this Paddle has no CUDA; install paddlepaddle-gpu to use --device gpu")
        paddle.set_device(device)
        paddle.seed(settings.seed)
        with paddle.utils.unique_name.guard():  # see train_step
            layer = getattr(nets, str(NETS[settings.net].layer))
            self.net = layer(num_outputs=1 if settings.task == "regress" else 10)
        self.optimizer = make_optimizer(settings, self.net.parameters())
        self.task, self.optimizer_name, self.smoothing = settings.task, settings.optimizer, settings.label_smoothing
        self.seed, self.step, self.team = settings.seed, 0, team
        self.forward = self.net if plain else fast.accelerate(self.net)
        self.fast_step: fast.TrainStep | None = None
        if not plain:
            self.fast_step = fast.train_step(self.net, self.task, self.optimizer, self.smoothing, settings.seed, team)

    @property
    def engine(self) -> str:
        """What runs the net, such as ``"fast: oneDNN, 2 threads"``; the net is captured to tell."""
        return fast.engine_name(self.net, self.optimizer) if self.fast_step else "plain: as asked for"

    def rows(self, n: int) -> slice:
        """Return the rows of a batch of ``n`` samples whose images this process needs.

        Only the fast step is divided among a team. Paddle's own layers compute a batch as a whole, and so does every
        member: no other way gives the bits that one process gives.
        """
        self.net.train()
        return self.fast_step.rows(n) if self.fast_step else slice(0, n)

    def train_step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Take one gradient step on a batch and return its mean loss before the step.

        Args:
            images: float32 [n, 1, 28, 28]; in a team, 0 outside ``rows``.
            labels: [n, 1], float32 to regress, int64 to classify.
        """
        self.net.train()
        self._seed_masks()
        # Paddle names optimizer state by a process-wide count. Counting from 0 in each net lets a second net in the
        # same process resume the checkpoint of the first.
        with paddle.utils.unique_name.guard():
            if self.fast_step:
                return self.fast_step(images, labels)  # the lines below, on faster kernels
            outputs = self.net(paddle.to_tensor(images))
            loss = self.losses(outputs, paddle.to_tensor(labels), self.smoothing).mean()
            loss.backward()
            self.optimizer.step()
            self.optimizer.clear_grad()
            return float(loss)

    def _seed_masks(self) -> None:
        """Seed the masks of dropout from (seed, step), so that a resumed run draws the same ones."""
        if self.fast_step:
            self.fast_step.number = self.step
        else:
            paddle.seed(self.seed + self.step)
        self.step += 1

    def losses(self, outputs: paddle.Tensor, labels: paddle.Tensor, smoothing: float = 0.0) -> paddle.Tensor:
        """Return the loss of each sample, [n]: squared error of the number, or cross-entropy of the scores."""
        if self.task == "regress":
            return F.square_error_cost(outputs, labels).flatten()
        return F.cross_entropy(outputs, labels.flatten(), reduction="none", label_smoothing=smoothing).flatten()

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return raw outputs [n, 1] or [n, 10] for images [n, 1, 28, 28], in eval mode and without gradients."""
        self.net.eval()
        with paddle.no_grad():
            return self.forward(paddle.to_tensor(images)).numpy()

    def loss(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the loss of each sample, float64 [n], for raw outputs and labels [n, 1]."""
        labels = labels.astype(np.float64 if self.task == "regress" else np.int64)
        return self.losses(paddle.to_tensor(outputs, "float64"), paddle.to_tensor(labels)).numpy()

    def probabilities(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the probability of each digit, float64 [n, 10], or ``None`` for a regression."""
        return None if self.task == "regress" else F.softmax(paddle.to_tensor(outputs, "float64")).numpy()

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

    def load_state_dict(self, state: dict[str, np.ndarray], source: str) -> None:
        """Load weights after checking every name, shape and dtype; ``source`` names their file in an error."""
        check_state_dict(state, self.state_dict(), source)
        self.net.set_state_dict(state)

    def optimizer_state(self) -> dict[str, Any]:
        """Return what the optimizer keeps between steps (momentum, moments), by name."""
        state = self.optimizer.state_dict()
        return {name: value.numpy() if hasattr(value, "numpy") else value for name, value in state.items() if name}

    def load_optimizer_state(self, state: dict[str, Any], source: str) -> None:
        """Load what ``optimizer_state`` returned, after checking every name and shape."""
        trained = [parameter for parameter in self.net.parameters() if not parameter.stop_gradient]  # no running means
        parameters = {parameter.name: parameter.numpy() for parameter in trained}
        check_optimizer_state(state, parameters, ACCUMULATORS[self.optimizer_name], source)
        self.optimizer.set_state_dict(dict(state))


def make_optimizer(settings: Settings, parameters: list[paddle.Tensor]) -> paddle.optimizer.Optimizer:
    """Return the optimizer that the settings name, for the given parameters."""
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
        # Keras's epsilon. Paddle's default of 1e-6 is added under the root and damps small gradients strongly.
        return paddle.optimizer.RMSProp(rho=0.9, epsilon=1e-7, **common)
    return paddle.optimizer.Adam(**common)
