"""Does an exported file give the labels of the live model?

  python benchmarks/export_parity.py --checkpoint=work/shapes --file=shapes.npz

Draws scenes of several sizes, segments each with `Segmenter` and with the file, in
batches of 1, 3 and 8, and prints the share of images all of whose pixels are equal
(class, and the partition into instances) and the share of equal pixels.
"""

import sys

import numpy as np
from absl import flags

from pix2seq_d import Segmenter, export
from pix2seq_d.cli import app
from pix2seq_d.data.shapes import Shapes

_SIZES = ((64, 64), (96, 128), (80, 57), (200, 150), (333, 480))


def main(argv: list[str]) -> None:
    """Prints the shares."""
    values = app.new_flags()
    flags.DEFINE_string("checkpoint", None, "Of shapes.", flag_values=values)
    flags.DEFINE_string("file", None, "Of launch.export.", flag_values=values)
    flags.DEFINE_integer("images", 50, "Scenes.", flag_values=values, lower_bound=1)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "checkpoint", "file")
    segmenter = Segmenter.from_checkpoint(values.checkpoint)
    exported = export.load(values.file)
    settings = {name: exported.metadata[name] for name in ("num_steps", "min_area")}
    evaluation = exported.metadata["config"]["evaluation"]
    settings["instances"] = evaluation.get("instances", "ids")
    photos = [
        Shapes("val", size=_SIZES[k % len(_SIZES)], num_examples=values.images)[k].image
        for k in range(values.images)
    ]
    print("| batch | images all equal | pixels equal |\n|--:|--:|--:|")
    for batch in (1, 3, 8):
        equal = []
        for start in range(0, len(photos), batch):
            group = photos[start : start + batch]
            live = segmenter.predict_each(group, batch_size=batch, **settings)
            images, sizes = padded(group)
            semantic, instance, _ = exported(images, sizes)
            for row, result in enumerate(live):
                height, width = sizes[row]
                equal.append(
                    same(result.semantic, semantic[row, :height, :width])
                    & same(
                        np.stack([result.semantic, result.instance], -1),
                        np.stack([semantic[row], instance[row]], -1)[:height, :width],
                    )
                )
        whole = sum(e.all() for e in equal)
        pixels = 100 * np.mean(np.concatenate([e.ravel() for e in equal]))
        print(f"| {batch} | {whole} of {len(photos)} | {pixels:.4f} % |")


def padded(photos: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Photos of several sizes as one batch, uint8 [B, H, W, 3], and sizes [B, 2]."""
    sizes = np.array([photo.shape[:2] for photo in photos])
    images = np.zeros((len(photos), *sizes.max(0), 3), np.uint8)
    for row, photo in enumerate(photos):
        images[row, : photo.shape[0], : photo.shape[1]] = photo
    return images, sizes


def same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[H, W] bool: equal labels, the instances up to their numbers.

    A pixel of pairs [H, W, 2] counts where its two segments are each other's partner:
    the one that most of a segment's pixels have in the other map.
    """
    if one.ndim == 2:
        return one == other
    rows, columns = (
        np.unique(x.reshape(-1, 2), axis=0, return_inverse=True)[1]
        for x in (one, other)
    )
    table = np.zeros((rows.max() + 1, columns.max() + 1), np.int64)
    np.add.at(table, (rows, columns), 1)
    partners = (table.argmax(1)[rows] == columns) & (table.argmax(0)[columns] == rows)
    return partners.reshape(one.shape[:2])


if __name__ == "__main__":
    sys.exit(app.run(main, "export_parity"))
