"""Ways from the logits of an image to a panoptic map, one a row of the table."""

from collections.abc import Callable

import numpy as np

from peer.network import Logits
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

ToMap = Callable[[Logits], PanopticMap]
MIN_AREA = 40  # pixels at 256 x 256, of the last row


def readings(label_space: LabelSpace) -> dict[str, ToMap]:
    """Name of each way from logits to a map -> its function; the default first."""
    import transformers

    processor = transformers.Mask2FormerImageProcessor()

    def reader(
        threshold: float = 0.5, overlap: float = 0.8, min_area: int = 0
    ) -> ToMap:
        def to_map(logits: Logits) -> PanopticMap:
            made = processor.post_process_panoptic_segmentation(
                logits,
                threshold=threshold,
                overlap_mask_area_threshold=overlap,
                label_ids_to_fuse=set(),  # `fused` does it
                target_sizes=[logits.size],
            )[0]
            segmentation = made["segmentation"].cpu().numpy().astype(np.int64)
            label_of = {s["id"]: s["label_id"] for s in made["segments_info"]}
            return fused(segmentation.clip(0), label_of, label_space, min_area)

        return to_map

    return {
        "default: score 0.5, overlap 0.8": reader(),
        "score 0.8, overlap 0.8": reader(threshold=0.8),
        "score 0.5, overlap 0.5": reader(overlap=0.5),
        "as the paper's code: score 0.8, overlap 0.8": lambda logits: paper_map(
            logits, label_space
        ),
        f"default, below {MIN_AREA} px void": reader(min_area=MIN_AREA),
    }


def paper_map(logits: Logits, label_space: LabelSpace) -> PanopticMap:
    """The map as `panoptic_inference` of the paper's code makes it.

    Unlike `transformers`, it weighs a mask by its score only to choose between masks,
    and takes only pixels where the mask itself is above 0.5.
    """
    import torch
    from torch.nn import functional as f

    scores, labels = logits.class_queries_logits[0].softmax(-1).max(-1)
    kept = (labels < logits.class_queries_logits.shape[-1] - 1) & (scores > 0.8)
    segmentation, label_of = np.zeros(logits.size, np.int64), {}
    if kept.any():
        masks = f.interpolate(
            logits.masks_queries_logits[:, kept], logits.size, mode="bilinear"
        )[0].sigmoid()
        winner = (scores[kept, None, None] * masks).argmax(0)
        for k, label in enumerate(labels[kept].tolist()):
            inside = masks[k] >= 0.5
            area, mask = (winner == k).sum(), (winner == k) & inside
            if mask.any() and area / torch.count_nonzero(inside) >= 0.8:
                segmentation[mask.cpu().numpy()] = k + 1
                label_of[k + 1] = label
    return fused(segmentation, label_of, label_space, 0)


def fused(
    segmentation: np.ndarray,
    label_of: dict[int, int],
    label_space: LabelSpace,
    min_area: int,
) -> PanopticMap:
    """A map whose stuff classes are one segment each.

    Args:
      segmentation: [H, W] int64, 0 for void.
      label_of: id -> class from 0.
      label_space: the categories.
      min_area: smaller segments become void.
    """
    ids = np.zeros(segmentation.shape, np.int32)
    segments: dict[int, Segment] = {}
    stuff: dict[int, int] = {}
    for old, label in label_of.items():
        new = old
        if not label_space.is_thing[label + 1]:
            new = stuff.setdefault(label, old)
        ids[segmentation == old] = new
        category = label_space.categories[label].id
        segments[new] = Segment(id=new, category_id=category)
    present, areas = np.unique(ids, return_counts=True)
    for small in present[areas < min_area]:
        ids[ids == small] = 0
    kept = set(np.unique(ids).tolist())
    return PanopticMap(ids, tuple(s for s in segments.values() if s.id in kept))
