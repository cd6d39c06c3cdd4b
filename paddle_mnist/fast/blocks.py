"""Batches through a net, block by block, over threads, and over the processes of a team.

A block has the same images in it however many threads and processes there are, and sums over blocks are taken in the
order of ``team.OrderedSum``: the results do not depend on the number of either, to the bit.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.distributed.team import ALONE, Division, OrderedSum, Team
from paddle_mnist.fast import blas, dropout, threads
from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled import wide
from paddle_mnist.fast.compiled.library import Lists, Steps
from paddle_mnist.fast.plan import Plan
from paddle_mnist.fast.products import Gradient, Product
from paddle_mnist.fast.workspace import Phase, Workspace

# The gradients of at most so many blocks are kept before they are added up.
BLOCKS_PER_SUM = 32
# So many blocks of a dense net, without the way back, are given to the threads at once.
BLOCKS_AT_ONCE = 16
# Workspaces are kept for so many sizes of blocks: the usual one, the last of a batch, those of an evaluation.
SIZES_KEPT = 4
# A batch norm keeps the activations of a whole batch; larger batches are left to Paddle.
MOST_IMAGES_AT_BARRIERS = 2000
# Rows of a large weight whose gradient one thread computes at a time, at most.
ROWS_PER_PRODUCT = 256

NO_GRADIENTS = np.empty(0, np.float32)

# Is given a block's outputs and its rows in the batch, and stores the gradient with respect to those outputs.
OutputGradient = Callable[[np.ndarray, slice, np.ndarray], None]
# Is called with a block's buffers and number.
OfBlock = Callable[[Workspace, int], None]
# What decides the masks of dropout.
Seed = tuple[int, int]


class Runner:
    """Runs a plan. One call at a time; others wait."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.threads = cpu.threads()
        self._kept: dict[tuple[int, bool], list[Workspace]] = {}
        self._lock = threading.RLock()
        self._crew, self._is_working = threads.Crew(self.threads, self._at_work), False
        self._large = plan.whole_batch
        self._rows: dict[int, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
        self._flats: list[np.ndarray] = []
        self._divisions: dict[tuple[int, Team], Division] = {}
        self._gradients = {name: aligned(*shape) for name, shape in self._large.items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over parameters and buffers, by name, for calls that name none."""
        with self._lock, self._at_work():
            self.plan.load(arrays)

    def outputs(self, arrays: Mapping[str, np.ndarray] | None, images: np.ndarray, seed: Seed = (0, 0)) -> np.ndarray:
        """Return raw outputs [n, ...] for images [n, ...].

        Args:
            arrays: parameters and buffers by name, or ``None`` for those that were taken over last.
            images: the batch.
            seed: decides the masks of dropout.
        """
        results: dict[int, np.ndarray] = {}

        def finish(workspace: Workspace, rows: slice, i: int) -> None:
            results[i] = np.array(workspace.outputs)

        with self.working(len(images), train=False):
            if arrays is not None:
                self.plan.load(arrays)
            self._pass(images, seed, finish=finish)
        return np.concatenate([results[i] for i in range(len(results))])

    def gradients(
        self,
        arrays: Mapping[str, np.ndarray],
        images: np.ndarray,
        output_gradient: OutputGradient,
        seed: Seed = (0, 0),
        team: Team = ALONE,
        samples: np.ndarray | None = None,
    ) -> list[Gradient]:
        """Return each trainable parameter's gradient; they are the caller's until the next call.

        Args:
            team: computes a part of the blocks each; other members' rows of ``images`` are not read.
            samples: float64 [n], filled by ``output_gradient`` for its rows, and on return for all.
        """
        division = self.division(len(images), team)
        samples = np.zeros(len(images)) if samples is None else samples
        with self.working(len(images)):
            self.plan.load(arrays)
            sums = self._pass(images, seed, division, output_gradient=output_gradient)
            flat = division.total(sums, sum(self.plan.block_sizes.values()), samples)
            products = self._workspaces(len(images), True, 1)[0].products if self.plan.sliced else {}
            return self.plan.gradients(flat, {**self._whole_batch_gradients(len(images), division), **products})

    def computed(self, gradients: Sequence[Gradient]) -> list[np.ndarray]:
        """Return gradients of which none is a product."""
        return [self._computed(gradient) if isinstance(gradient, Product) else gradient for gradient in gradients]

    def _computed(self, product: Product) -> np.ndarray:
        result, tiles = np.empty(product.shape, np.float32), product.tiles()
        lists = product.into(result) if isinstance(product, wide.Product) else []

        def work(_: int, i: int) -> None:
            product.compute(tiles[i], result[tiles[i]])

        with self.working(len(product.inputs)):
            if lists:
                self.do_steps(Lists(lists))
            else:
                self.do(work, len(tiles))
        return result

    @contextlib.contextmanager
    def working(self, n: int, train: bool = True) -> Iterator[None]:
        """Hold the threads ready until the block ends, for all calls that concern one batch of ``n`` images."""
        with self._lock:
            if self._is_working:
                yield
                return
            if self.threads > 1 and (len(self._pieces(n, train)) > 1 or (train and self.plan.sliced)):
                self._crew.ready()
            self._is_working = True
            try:
                with self._at_work():
                    yield
            finally:
                self._is_working = False
                self._crew.rest()

    def do(self, work: threads.Work, items: int) -> None:
        """Do work for every item, by the threads that are held ready."""
        self._crew.do(work, items)

    def do_steps(self, lists: Lists) -> None:
        """Do lists of compiled steps, by the threads that are held ready."""
        self._crew.do_steps(lists)

    def division(self, n: int, team: Team) -> Division:
        """Return how a batch of ``n`` images is divided for training."""
        if (n, team) not in self._divisions:
            self._divisions = {(n, team): Division(team, self._pieces(n, train=True))}
        return self._divisions[n, team]

    def _whole_batch_rows(self, n: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return arrays for the inputs and the results' gradients of the layers with large weights."""
        if n not in self._rows:
            self._rows = {n: {name: (aligned(n, ins), aligned(n, outs)) for name, (ins, outs) in self._large.items()}}
        return self._rows[n]

    def _whole_batch_gradients(self, n: int, division: Division) -> dict[str, np.ndarray]:
        """Return the gradients of large weights: products over the whole batch, in parts that threads share."""
        for pair in self._rows[n].values() if self._large else ():
            for array in pair:
                division.complete(array)
        parts = [
            (self._gradients[name][part], inputs[:, part], gradient)
            for name, (inputs, gradient) in (self._whole_batch_rows(n) if self._large else {}).items()
            for part in _parts(inputs.shape[1])
        ]

        def work(_: int, i: int) -> None:
            result, inputs, gradient = parts[i]
            np.matmul(inputs.T, gradient, out=result)

        self.do(work, len(parts))
        return self._gradients

    def _pass(
        self,
        images: np.ndarray,
        seed: Seed,
        division: Division | None = None,
        output_gradient: OutputGradient | None = None,
        finish: Callable[[Workspace, slice, int], None] | None = None,
    ) -> OrderedSum:
        """Take the batch through the net, and back if there is a ``division``; return the sum over its own blocks."""
        train = division is not None
        pieces = self._pieces(len(images), train)
        division = division or Division(ALONE, pieces)
        # Made here and not in ``start``, where two threads could each make their own.
        rows = self._whole_batch_rows(len(images)) if train and self._large else {}

        def start(workspace: Workspace, i: int) -> None:
            workspace.load()
            workspace.take(images[pieces[i]])
            if rows:
                workspace.store_rows(
                    {name: (x[pieces[i]], gradient[pieces[i]]) for name, (x, gradient) in rows.items()}
                )
            if workspace.masks:
                dropout.fill(workspace.masks, self.plan.dropouts, (*seed, i))

        def turn(workspace: Workspace, i: int) -> None:
            """Do what stands between the last phase forward and the first one back."""
            if output_gradient is not None:
                output_gradient(workspace.outputs, pieces[i], workspace.output_gradient)
            if finish is not None:
                finish(workspace, pieces[i], i)

        if self.plan.is_dense and not train and not self.plan.barriers:
            self._at_once(pieces, start, turn)
            return OrderedSum(len(pieces))
        method = self._in_phases if self.plan.barriers else self._one_by_one
        return method(pieces, division, train, start, turn)

    def _pieces(self, n: int, train: bool) -> list[slice]:
        """Return the rows of each block: an even number of blocks, of about equal size and of pairs of images.

        Both halves of the blocks have as many images, so that two threads have the same to do. They begin with the
        larger blocks: those of one size share their buffers, which stay in the cache.
        """
        size = self.plan.block_size if train else self.plan.inference_block_size
        count, pairs = -(-n // (size or n)), -(-n // 2)
        if count == 1:
            return [slice(0, n)]
        count = min(count + count % 2, pairs)
        halves = (pairs - pairs // 2, count - count // 2), (pairs // 2, count // 2)
        ends = accumulate((share for half in halves for share in _shares(*half)), initial=0)
        return [slice(*edge) for edge in pairwise(min(n, 2 * end) for end in ends)]

    def _at_once(self, pieces: list[slice], start: OfBlock, turn: OfBlock) -> None:
        """Take several blocks forward, each in a workspace of its own, without Python where kernels are compiled.

        The blocks of dense nets take less time than it takes threads to hand Python's lock over.
        """
        for first in range(0, len(pieces), BLOCKS_AT_ONCE):
            group = range(first, min(first + BLOCKS_AT_ONCE, len(pieces)))
            workspaces = self._workspaces_for([pieces[i].stop - pieces[i].start for i in group], train=False)
            for workspace, i in zip(workspaces, group, strict=True):
                start(workspace, i)
            self._do_phases([workspace.forward[0] for workspace in workspaces])
            for workspace, i in zip(workspaces, group, strict=True):
                turn(workspace, i)

    def _one_by_one(
        self, pieces: list[slice], division: Division, train: bool, start: OfBlock, turn: OfBlock
    ) -> OrderedSum:
        """Take each block through the whole net and back before the next one, in as many workspaces as threads."""
        sums = OrderedSum(len(pieces))
        if len(pieces) == 1:
            workspace = self._workspaces(pieces[0].stop, train, 1)[0]
            self._forget(1)
            workspace.do, workspace.do_steps = self.do, self.do_steps
            self._through(workspace, 0, train, start, turn)
            sums.add((0, 1), workspace.flat)
            return sums
        blocks = division.blocks
        count = max(1, min(self.threads, len(blocks)))
        sizes = {pieces[i].stop - pieces[i].start for i in blocks}
        spare = [{size: self._workspaces(size, train, count)[i] for size in sizes} for i in range(count)]
        self._forget(len(sizes))
        while train and len(self._flats) < min(BLOCKS_PER_SUM, len(blocks)):
            self._flats.append(aligned(sum(self.plan.block_sizes.values())))
        for first in range(blocks.start, blocks.stop, BLOCKS_PER_SUM):
            group = range(first, min(first + BLOCKS_PER_SUM, blocks.stop))
            flats: list[np.ndarray] = [NO_GRADIENTS] * len(group)

            def work(thread: int, item: int, group: range = group, flats: list[np.ndarray] = flats) -> None:
                i = group[item]
                workspace = spare[thread][pieces[i].stop - pieces[i].start]
                self._through(workspace, i, train, start, turn)
                if train:
                    flats[item] = self._copy_of(workspace.flat, item if group.start == blocks.start else None)

            self.do(work, len(group))
            for i, flat in zip(group, flats, strict=True) if train else ():
                sums.add((i, i + 1), flat)
        return sums

    def _copy_of(self, flat: np.ndarray, item: int | None) -> np.ndarray:
        """Return a copy, for the first blocks of a batch always in the same memory."""
        if item is None:
            return flat.copy()
        np.copyto(self._flats[item], flat)
        return self._flats[item]

    @staticmethod
    def _through(workspace: Workspace, i: int, train: bool, start: OfBlock, turn: OfBlock) -> None:
        start(workspace, i)
        workspace.forward[0].run()
        turn(workspace, i)
        if train:
            workspace.backward[0].run()

    def _in_phases(
        self, pieces: list[slice], division: Division, train: bool, start: OfBlock, turn: OfBlock
    ) -> OrderedSum:
        """Take all blocks from one sum over the batch to the next; each block has a workspace of its own."""
        blocks = division.blocks
        sizes = [pieces[i].stop - pieces[i].start for i in blocks]
        # A member of the team without work still needs the sums over the batch.
        kept = self._workspaces_for(sizes or [pieces[0].stop], train)
        workspaces = dict(zip(blocks, kept, strict=False))
        first = kept[0]

        def each(work: OfBlock) -> None:
            self.do(lambda _, item: work(workspaces[blocks[item]], blocks[item]), len(blocks))

        def meet(way: str, number: int) -> None:
            """Do what follows a phase of all blocks."""
            lead = getattr(first, way)[number].barrier
            barriers = [getattr(workspace, way)[number].barrier for workspace in workspaces.values()]
            if lead is not None:
                (lead.combine if way == "forward" else lead.combine_backward)(barriers, division)

        def begin(workspace: Workspace, i: int) -> None:
            start(workspace, i)
            workspace.forward[0].run()

        def turn_back(workspace: Workspace, i: int) -> None:
            workspace.forward[-1].run()
            turn(workspace, i)
            if train:
                workspace.backward[0].run()

        each(begin)
        meet("forward", 0)
        for number in range(1, len(first.forward) - 1):
            self._do_phases([workspace.forward[number] for workspace in workspaces.values()])
            meet("forward", number)
        each(turn_back)
        for number in range(len(first.backward)) if train else ():
            if number:
                self._do_phases([workspace.backward[number] for workspace in workspaces.values()])
            meet("backward", number)
        sums = OrderedSum(len(pieces))
        for i, workspace in workspaces.items():
            sums.add((i, i + 1), workspace.flat)
        return sums

    def _do_phases(self, phases: Sequence[Phase]) -> None:
        """Do one phase of all blocks, without Python in between where compiled steps are all there is."""
        steps = [call for phase in phases for call in phase.calls if isinstance(call, Steps)]
        if len(steps) == len(phases) == sum(len(phase.calls) for phase in phases):
            self._crew.do_steps(Lists(steps))
        else:
            self._crew.do(lambda _, item: phases[item].run(), len(phases))

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """What a thread needs while it computes blocks."""
        # Libraries must not divide the work of one block among threads, whose number would decide the bits.
        onednn = self.plan.onednn if self.plan.block_size else None
        own_thread = onednn.on_one_thread() if onednn else contextlib.nullcontext()
        with np.errstate(all="ignore"), blas.on_one_thread(), own_thread:
            yield

    def _workspaces(self, size: int, train: bool, count: int) -> list[Workspace]:
        """Return at least ``count`` workspaces for blocks of ``size`` images."""
        kept = self._kept.pop((size, train), [])
        kept += [Workspace(self.plan, size, train) for _ in range(count - len(kept))]
        self._kept[size, train] = kept  # the latest last
        return kept

    def _workspaces_for(self, sizes: Sequence[int], train: bool) -> list[Workspace]:
        """Return a workspace of its own for each of several blocks, given their sizes."""
        kept = {size: iter(self._workspaces(size, train, sizes.count(size))) for size in set(sizes)}
        self._forget(len(kept))
        return [next(kept[size]) for size in sizes]

    def _forget(self, used: int) -> None:
        while len(self._kept) > max(SIZES_KEPT, used):
            del self._kept[next(iter(self._kept))]


def _shares(total: int, count: int) -> list[int]:
    """Return ``count`` numbers, as equal as may be and the larger ones first, whose sum is ``total``."""
    least, larger = divmod(total, count)
    return [least + 1] * larger + [least] * (count - larger)


def _parts(rows: int) -> list[slice]:
    """Return an even number of parts of equal size of a large weight's rows, for threads to share."""
    count = 2 * -(-rows // (2 * ROWS_PER_PRODUCT))
    return [slice(i * rows // count, (i + 1) * rows // count) for i in range(count)]
