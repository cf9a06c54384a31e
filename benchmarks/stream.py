"""Does a stream run in constant memory, and is it what a whole clip would give?

  python benchmarks/stream.py --checkpoint=work/shapes_video [--frames=2000]

Pushes frames of drawn videos, one after another, through `Segmenter.stream()` and
prints frames a second, the largest resident memory up to frame 100 and up to the end,
and the share of pixels that a `lax.scan` over the first frames decodes alike.
"""

import functools
import resource
import sys
import time

import jax
import numpy as np
from absl import flags

from pix2seq_d import Segmenter
from pix2seq_d.cli import app
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.inference import video
from pix2seq_d.models.attention_choice import model_on

_COMPARED = 24
_WARM = 100


def main(argv: list[str]) -> None:
    """Prints the figures."""
    values = app.new_flags()
    flags.DEFINE_string("checkpoint", None, "Of a video model.", flag_values=values)
    flags.DEFINE_integer("frames", 2000, "Frames to push.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "checkpoint")
    segmenter = Segmenter.from_checkpoint(values.checkpoint)
    config = segmenter.trained.config
    source = ShapesVideo(
        "val",
        size=config.model.image_size,
        num_videos=-(-values.frames // 24),
    )
    stream = segmenter.stream()
    masks, warm_mb, start = [], 0.0, 0.0
    for number in range(values.frames):
        if number == _WARM:
            warm_mb, start = _peak_mb(), time.monotonic()
        stream.push(source[number].image)
        if number < _COMPARED:
            masks.append(stream.state.past[..., -2:])
    seconds, peak_mb = time.monotonic() - start, _peak_mb()
    print(f"frames          {values.frames}, {stream.state.counts[1]} tracks")
    print(
        f"frames/s        {(values.frames - _WARM) / seconds:.1f} (with drawing them)"
    )
    print(
        f"peak memory     {warm_mb:.1f} MB up to frame {_WARM}, {peak_mb:.1f} MB in all"
    )
    print(f"growth          {100 * (peak_mb / warm_mb - 1):.2f} %")

    images = [
        eval_data.fit_image(source[k].image, config.model.image_size)[0]
        for k in range(_COMPARED)
    ]
    whole = jax.jit(
        functools.partial(
            video.next_frames,
            model=model_on(config.model, config.train.dtype, jax.local_devices()[:1]),
            diffusion=config.diffusion,
        )
    )
    _, labels, _ = whole(
        segmenter.trained.variables,
        video.start(1, config.model),
        np.stack(images)[None],
        jax.random.key(0)[None],
    )
    equal = np.mean(np.all(np.asarray(labels[0]) == np.stack(masks), axis=-1))
    print(f"as a whole clip {100 * equal:.3f} % of pixels alike, {_COMPARED} frames")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(app.run(main, "stream"))
