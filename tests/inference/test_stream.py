"""What a stream shows of a mask, whatever drew it."""

import numpy as np

from pix2seq_d.inference.stream import Stream
from pix2seq_d.training import checkpoint


def test_two_objects_with_one_id_are_two_tracks_where_ids_are_split(monkeypatch):
    trained = checkpoint.load("shapes_video")
    assert trained.config.evaluation.split_ids and not trained.config.data.ids.shares
    square, ring = (trained.labels.names().index(n) for n in ("square", "ring"))
    mask = np.zeros((64, 64, 2), np.int32)
    mask[:20], mask[20:50] = (square, 3), (ring, 3)

    def tracks(trained):
        stream = Stream(trained)
        step = stream._step
        drawn = mask[None], np.array([4])
        monkeypatch.setattr(stream, "_step", lambda *a: (step(*a)[0], *drawn))
        frames = [stream.push(np.full((64, 64, 3), 99, np.uint8)) for _ in range(2)]
        return [
            sorted(
                (s.category_id, s.instance) for s in f.panoptic.segments if s.instance
            )
            for f in frames
        ]

    category = trained.labels.category_ids
    apart = sorted([(category[square], 1), (category[ring], 2)])
    assert tracks(trained) == [apart, apart]
