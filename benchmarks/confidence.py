"""Does a segment's confidence tell right segments from wrong ones?

  python benchmarks/confidence.py --checkpoint=work/shapes [--images=256]

Predicts validation scenes and compares with the truth: a segment is right where PQ
matches it. Prints the share of right segments by quarter of confidence, and the AUROC:
how often a right segment is surer than a wrong one, 0.5 by chance.
"""

import sys

import numpy as np
from absl import flags
from scipy import stats

from pix2seq_d import Segmenter
from pix2seq_d.cli import app
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.overlap import compare
from pix2seq_d.progress import Progress


def main(argv: list[str]) -> None:
    """Prints the table."""
    values = app.new_flags()
    flags.DEFINE_string("checkpoint", None, "Of shapes.", flag_values=values)
    flags.DEFINE_integer("images", 256, "Scenes.", flag_values=values, lower_bound=1)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "checkpoint")
    segmenter = Segmenter.from_checkpoint(values.checkpoint)
    size = segmenter.trained.config.model.image_size
    source = Shapes("val", size=size, num_examples=values.images)
    sure, right, area = [], [], []
    progress = Progress("predict", values.images, unit="image")
    found = segmenter.predict_each(source[k].image for k in range(values.images))
    for k, result in enumerate(found):
        overlap = compare(
            source[k].panoptic, result.panoptic, Categories.of(source.label_space)
        )
        rows = set(overlap.match().found.tolist())
        by_id = {segment.id: segment for segment in result.segments}
        for row, segment in enumerate(result.panoptic.segments):
            sure.append(by_id[segment.id].confidence)
            area.append(by_id[segment.id].area)
            right.append(row in rows)
        progress.update(k + 1)
    _report(np.array(sure), np.array(right), np.array(area))


def _report(sure: np.ndarray, right: np.ndarray, area: np.ndarray) -> None:
    print(f"{len(sure)} segments, {100 * right.mean():.1f} % right")
    print(f"AUROC {auroc(sure, right):.3f}, of the area alone {auroc(area, right):.3f}")
    print("| confidence | segments | right |\n|---|--:|--:|")
    order = np.argsort(sure, kind="stable")
    for rows in np.array_split(order, 4):
        low, high = sure[rows[0]], sure[rows[-1]]
        share = 100 * right[rows].mean()
        print(f"| {low:.3f} to {high:.3f} | {len(rows)} | {share:.1f} % |")


def auroc(score: np.ndarray, right: np.ndarray) -> float:
    """P(score of a right one > score of a wrong one), ties half (Mann-Whitney U)."""
    ranks = stats.rankdata(score)
    positive, negative = right.sum(), (~right).sum()
    wins = ranks[right].sum() - positive * (positive + 1) / 2
    return float(wins / (positive * negative))


if __name__ == "__main__":
    sys.exit(app.run(main, "confidence"))
