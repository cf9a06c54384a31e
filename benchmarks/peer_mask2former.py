"""What PQ does Mask2Former reach on the same data in the same time?

  python benchmarks/peer_mask2former.py --root=DIR --resnet=FILE.npz --output=DIR \
      --minutes=5

Trains the Mask2Former of Hugging Face `transformers` on a COCO-panoptic folder, until
the clock says stop, and scores its predictions with this project's evaluator.

Equal to a training of ours: the images, the ImageNet ResNet up to stage 4, the kind of
augmentation (scale, crop, flip, colours), the minutes on the device and the metric.

Not equal: stage 5 of the backbone, which only this network has, is random. Loading and
building are not counted; the first step, which warms up, is. The initial values are
those of the paper's code, not of `transformers`, whose queries start nearly alike. The
batch-norms of the file are frozen, as in the paper. Stuff is fused here: the fusion of
`transformers` can give the id of one segment to the next. Segments of few pixels count,
but for the last row; ours leaves them out. One more row makes the map from the masks
as the paper's code does. No number was tuned on the validation images.

Needs: pip install torch torchvision transformers scipy
"""

import dataclasses
import importlib.metadata
import importlib.util
import json
import math
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from absl import flags
from peer import backbone, data, network, scoring, training
from peer.recipe import Recipe

from pix2seq_d.atomic_file import replace_text
from pix2seq_d.cli import app
from pix2seq_d.evaluation import table

PACKAGES = ("torch", "torchvision", "transformers", "scipy")


def main(argv: list[str]) -> None:
    """Trains, predicts, prints a table."""
    values = app.new_flags()
    text, real, whole = flags.DEFINE_string, flags.DEFINE_float, flags.DEFINE_integer
    text("root", None, "COCO-panoptic folder.", flag_values=values)
    text("resnet", None, ".npz of an ImageNet ResNet-50 v1.", flag_values=values)
    text("output", None, "Folder to write.", flag_values=values)
    real("minutes", 5.0, "Of training.", 0.01, flag_values=values)
    whole("batch", 16, "Images a step.", 1, flag_values=values)
    whole("seed", 0, "Of the random numbers.", flag_values=values)
    real("learning_rate", 1e-4, "Its peak.", 0.0, flag_values=values)
    real("color_jitter", 0.5, "Strength, as of data.color_jitter.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "root", "resnet", "output")
    root, resnet, output = (Path(values[k].value) for k in ("root", "resnet", "output"))
    check_inputs(root, resnet)
    for name in ("minutes", "learning_rate", "color_jitter"):
        if not 0 <= values[name].value < math.inf:
            raise app.UsageError(f"--{name}={values[name].value}: take a number from 0")
    recipe = Recipe(
        minutes=values.minutes,
        batch=values.batch,
        seed=values.seed,
        learning_rate=values.learning_rate,
        color_jitter=values.color_jitter,
    )
    run(recipe, root, resnet, output)


def check_inputs(root: Path, resnet: Path) -> None:
    """Raises in one line for a missing package, folder or file."""
    missing = [name for name in PACKAGES if not importlib.util.find_spec(name)]
    if missing:
        raise app.UsageError(
            f"{', '.join(missing)} missing; pip install {' '.join(PACKAGES)}"
        )
    if not (root / "panoptic_train.json").is_file():
        raise app.UsageError(f"--root={root}: has no panoptic_train.json")
    if not resnet.is_file():
        raise app.UsageError(f"--resnet={resnet}: no such file")


def run(recipe: Recipe, root: Path, resnet: Path, output: Path) -> None:
    """Trains on a folder's images and scores; writes metrics and maps."""
    os.environ["JAX_PLATFORMS"] = "cpu"  # the GPU is PyTorch's
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch

    torch.manual_seed(recipe.seed)
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    label_space = data.read_split_index(root, "train").label_space()
    train_split, val_split = (
        data.load_split(root, name, label_space, device) for name in ("train", "val")
    )
    model = network.build_model(len(label_space.categories), recipe)
    frozen = backbone.load_resnet(backbone.backbone_of(model), resnet)
    model.to(device)
    content = {
        "benchmark": "peer_mask2former",
        "images": {"train": len(train_split.ids), "val": len(val_split.ids)},
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "command": shlex.join(["python", *sys.argv]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "recipe": dataclasses.asdict(recipe),
        "config": model.config.to_dict(),
    }
    output.mkdir(parents=True, exist_ok=True)
    content["training"] = training.train(model, frozen, train_split, recipe, device)
    write_json(output / "metrics.json", content)
    logits = network.predict(model, val_split, device)
    found: dict[str, Any] = {}
    truth = root / "panoptic_val.json"
    for name, result in scoring.score(logits, val_split, label_space, truth, output):
        found[name] = result
        # After each row: an error in a later one costs only that one.
        write_json(output / "metrics.json", content | {"results": found})
    print(table.groups_markdown(found))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes readable JSON, whole or not at all."""
    replace_text(path, json.dumps(content, indent=1, default=str) + "\n")


if __name__ == "__main__":
    sys.exit(app.run(main, "peer_mask2former"))
