"""A video as its frames come: one map a frame, tracks that last, constant memory."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.atomic_file import replacing
from pix2seq_d.config import DiffusionConfig
from pix2seq_d.config.errors import require_seed
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.inference import postprocess, video
from pix2seq_d.inference.result import Result
from pix2seq_d.inference.tracks import Tracks, advance
from pix2seq_d.inference.video import VideoState
from pix2seq_d.labels import LabelSpace
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.models.attention_choice import model_on
from pix2seq_d.panoptic import PanopticMap, Segment, runs
from pix2seq_d.training.checkpoint import Trained


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class StreamState:
    """All that a stream remembers; a pytree of constant size.

    Attributes:
      past: [h, w, 2 F] int32, the model's memory: maps of the last F frames.
      number: [N] int64, public number of each id (`tracks.Tracks`).
      last_frame: [N] int64, the last frame each id was in.
      given: [N] bool, ids that ever bore a number.
      counts: [4] int64: frames seen, public numbers given out, ids reused, seed.
    """

    past: np.ndarray
    number: np.ndarray
    last_frame: np.ndarray
    given: np.ndarray
    counts: np.ndarray

    def save(self, path: str | Path) -> None:
        """Writes an npz file (temporary file, then rename)."""
        with replacing(Path(path)) as file:
            np.savez_compressed(
                file,
                past=self.past,
                number=self.number,
                last_frame=self.last_frame,
                given=self.given,
                counts=self.counts,
            )

    @classmethod
    def load(cls, path: str | Path) -> "StreamState":
        """Reads what `save` wrote.

        Raises:
          FileNotFoundError: no such file.
          ValueError: it is not such a file.
        """
        try:
            with np.load(path) as saved:
                return cls(**{f.name: saved[f.name] for f in dataclasses.fields(cls)})
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ValueError(
                f"{path} is not the state of a stream ({error}); delete it to begin "
                "the video anew"
            ) from error


class Stream:
    """Segments and tracks the frames of one video.

    Args:
      trained: a checkpoint of a model of clips (`model.num_cond_frames` >= 1).
      seed: of the sampler's noise.
      retire_after: an id that is absent in more frames than this is another object
        when it comes back; None: one less than the model remembers, which then cannot
        know it any more.
      device: that computes; None: the first local one.
    Raises:
      ValueError: the model knows no past masks, `retire_after` is negative, the seed
        not in [0, 2**32), or the sampler another than DDIM.
    """

    def __init__(
        self,
        trained: Trained,
        *,
        seed: int = 0,
        retire_after: int | None = None,
        device: jax.Device | None = None,  # pyright: ignore[reportInvalidTypeForm]
    ) -> None:
        config = trained.config
        frames = config.model.num_cond_frames
        if not frames:
            raise ValueError(
                f"{trained.workdir}: this model knows no past masks, so it cannot "
                "track; take one that was trained on clips (configs/shapes_video.py)"
            )
        video.check_sampler(config.diffusion)
        require_seed("evaluation", seed)
        if retire_after is not None and retire_after < 0:
            raise ValueError(f"retire_after must be >= 0, not {retire_after}")
        self._trained, self._seed = trained, seed
        # One frame at a time is for one device.
        self._device = jax.local_devices()[0] if device is None else device
        self._variables = jax.device_put(trained.variables, self._device)
        self._retire_after = frames - 1 if retire_after is None else retire_after
        model = model_on(config.model, config.train.dtype, [self._device])
        self._step = _compiled(model, config.diffusion)
        # Where its results are, too: else the second frame would compile anew.
        self._memory = jax.device_put(video.start(1, config.model), self._device)
        num_ids = config.model.max_instances
        if config.data.ids.splits(config.evaluation.split_ids):  # see `told_apart`
            num_ids *= trained.labels.num_classes
        self._tracks = Tracks.start(num_ids)

    @property
    def state(self) -> StreamState:
        """All that it remembers; another stream of the same model may go on from it."""
        tracks = self._tracks
        return StreamState(
            past=np.asarray(self._memory.past[0]),
            number=tracks.number,
            last_frame=tracks.last_frame,
            given=tracks.given,
            counts=np.array([tracks.frame, tracks.count, tracks.reused, self._seed]),
        )

    @state.setter
    def state(self, state: StreamState) -> None:
        expected = self._memory.past.shape[1:]
        size = self._tracks.number.shape
        if state.past.shape != expected or state.number.shape != size:
            raise ValueError(
                f"the state is of another model, or of an earlier version: masks "
                f"{state.past.shape} and {state.number.shape[0]} ids, not {expected} "
                f"and {size[0]}; begin the video anew"
            )
        frame, count, reused, self._seed = state.counts.tolist()
        memory = VideoState(
            jnp.asarray(state.past)[None], jnp.array([frame], jnp.int32)
        )
        self._memory = jax.device_put(memory, self._device)
        self._tracks = Tracks(
            state.number, state.last_frame, state.given, frame, count, reused
        )

    @property
    def frame(self) -> int:
        """Number of frames pushed."""
        return self._tracks.frame

    @property
    def reused(self) -> int:
        """How often an id that bore a number got another one: see `Tracks`."""
        return self._tracks.reused

    def push(self, frame: np.ndarray) -> Result:
        """Segments the next frame.

        Args:
          frame: [H, W, 3] uint8 RGB; sizes may change from frame to frame, though
            masks of the past are then stretched as the image is.
        """
        trained, config = self._trained, self._trained.config
        fitted, unpadded = eval_data.fit_image(frame, config.model.image_size)
        self._memory, labels, steps = self._step(
            self._variables,
            self._memory,
            fitted[None],
            jax.random.key(self._seed)[None],
        )
        labels = np.asarray(labels[0])
        restored = eval_data.restore(
            labels,
            image_size=config.model.image_size,
            unpadded=unpadded,
            original=frame.shape[:2],
        )
        rule, shown = config.data.ids, config.evaluation
        semantic, drawn = labels[..., 0], labels[..., 1]
        if rule.splits(
            shown.split_ids
        ):  # numbers as of `told_apart`; one pixel is enough
            shared = semantic * config.model.max_instances + drawn
            drawn = np.where(drawn > 0, shared, 0)
        voted = postprocess.shown_channels(
            restored,
            trained.labels,
            num_ids=config.model.max_instances,
            min_area=shown.min_area,
            merge=shown.merge_stuff,
            rule=rule,
            split_ids=shown.split_ids,
            magnified=eval_data.magnification(
                labels.shape[:2],
                image_size=config.model.image_size,
                unpadded=unpadded,
                original=frame.shape[:2],
            ),
        )
        things = thing_ids(voted, trained.labels, len(self._tracks.number))
        number = self._tracks.frame
        self._tracks = advance(
            drawn,
            self._tracks,
            retire_after=self._retire_after,
            shown=things,
        )
        panoptic = track_map(voted, things, self._tracks.number, trained.labels)
        return Result(frame, panoptic, trained.labels, number, int(steps[0]))


@functools.lru_cache(maxsize=8)
def _compiled(model: Pix2SeqD, diffusion: DiffusionConfig) -> Any:
    """The frame's function; one for all streams of these settings."""
    step = functools.partial(video.next_frame, model=model, diffusion=diffusion)
    return jax.jit(step, donate_argnums=1)


def thing_ids(
    labels: np.ndarray, label_space: LabelSpace, max_instances: int
) -> np.ndarray:
    """[H, W] the instance ids of things in labels [H, W, 2]; 0 elsewhere."""
    semantic, instance = labels[..., 0], labels[..., 1]
    is_track = label_space.is_thing[semantic] & (instance < max_instances)
    return np.where(is_track, instance, 0)


def track_map(
    labels: np.ndarray,
    things: np.ndarray,
    number: np.ndarray,
    label_space: LabelSpace,
) -> PanopticMap:
    """A panoptic map whose segment ids are the same in all frames of a video.

    Stuff has the id of its class, semantic; a track has num_classes + its number.

    Args:
      labels: [H, W, 2] int, of `postprocess.voted_channels`.
      things: [H, W] int, of `thing_ids`.
      number: [N] int, public number of each id.
      label_space: the categories.
    """
    semantic = labels[..., 0]
    numbers = number[things]
    is_thing = label_space.is_thing[semantic]
    stuff = np.where(is_thing, 0, semantic)  # a thing without number is void
    ids = np.where(numbers > 0, label_space.num_classes + numbers, stuff)
    ids = ids.astype(np.int32)
    values, lengths = runs(ids)
    present, first = np.unique(values, return_index=True)
    # All pixels of a segment have one class: that of its first one.
    classes = semantic.ravel()[(np.cumsum(lengths) - lengths)[first]]
    segments = tuple(
        Segment(
            id=segment_id,
            category_id=int(label_space.category_ids[class_]),
            instance=max(segment_id - label_space.num_classes, 0),
        )
        for segment_id, class_ in zip(present.tolist(), classes, strict=True)
        if segment_id
    )
    return PanopticMap(ids, segments)
