"""The names that programs may rely on, declared here and compared with the modules: a change must be made in both."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "paddle_mnist"

# Every public function and class of these modules, and the constants that are meant for use elsewhere.
PUBLIC = {
    # The tour.
    "nets": "CNN FC MLP Quick Strong Stronger Tiny conv_block",
    "loader": "Batch MODES batches check_batches load_data prefetched shuffled to_input to_target",
    "learners": "PaddleLearner build make_optimizer",
    "engine": "EVAL_BATCH Learner NotFiniteError Progress Step close_epoch epoch_batches evaluate"
    " evaluate_split fit steps_per_epoch train_epoch",
    # What it stands on, and training from Python.
    "cpu": "threads tune",
    "dataset": "Dataset Log download_folder open_dataset work_folder",
    "errors": "UserError printable quote",
    "plots": "COLOURS FORMATS History check_format compare_runs curves loss_curve predictions running_mean save"
    " segmentation",
    "metrics": "Metrics measure predicted_digits",
    "recipes": "AUGMENTATIONS NETS Net RECIPES Recipe Settings Strength check_choice choices settings_for",
    "runs.run": "Run RunOptions create open_run reproducible_state",
    "runs.session": "RunOptions Stopped resume train",
    "splits": "Split Splits",
    # What has its own folder.
    "exports": "DifferentError Exported export",
    "fast": "Forward TrainStep accelerate engine_name train_step",
    "program": "Graph IMAGES Node NotCoveredError OPERATIONS capture join_biases operations rewrite",
    "sources.mnist_json": "ENCODINGS pixel_values read write",
    "storage.weights": "StateDict check_optimizer_state check_state_dict dump_optimizer_state dump_state_dict"
    " load_state_dict parse_optimizer_state parse_state_dict save_state_dict",
    "pictures.recognize": "RecognizedDigit Recognition SELDOM SURE UNLIKELY UNREADABLE recognize",
    "scratch.layers": "Affine ReLU Sigmoid SoftmaxWithLoss cross_entropy sigmoid softmax",
    "scratch.network": "Network Samples",
    "scratch.three_layer_net": "ThreeLayerNet WalkThrough accuracy load_mnist load_weights predict walk_through",
    "scratch.two_layer_net": "Prediction TwoLayerNet predict_random_digit",
    "labs.tools": "Lab T is_small labs_folder name_of names note_hints note_solved notes notes_folder numbers"
    " source_folder",
}


def public_names(module: str) -> set[str]:
    """Return a module's ``__all__``, or what it defines without an underscore; imported names do not count."""
    path = PACKAGE / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            if "__all__" in names and node.value is not None:
                return set(ast.literal_eval(node.value))
            found |= names
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_the_declared_ones(module):
    declared, found = set(PUBLIC[module].split()), public_names(module)
    assert declared <= found, "declared but not defined"
    assert {name for name in found if not name.isupper()} <= declared, "defined but not declared"
