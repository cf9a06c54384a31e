"""Tracks of a video: the number of each segment, and the name and colour it gets."""

from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.visualize.colors import Color, shade


def tracks_in(
    panoptic: PanopticMap, label_space: LabelSpace
) -> dict[int, tuple[int, int]]:
    """The class and the public number of every segment in a map, void included.

    Args:
      panoptic: ids [H, W] int; numbers in `Segment.instance`.
      label_space: the categories.
    Returns:
      Segment id -> semantic id and track number; 0 for stuff, crowds and things
      without one.
    Raises:
      ValueError: an id without a segment, or an unknown category.
    """
    by_id = {s.id: s for s in panoptic.segments}
    tracks = {VOID: (VOID, 0)} if VOID in panoptic.areas else {}
    for segment_id in panoptic.areas.keys() - {VOID}:
        segment = by_id.get(segment_id)
        if segment is None or segment.category_id not in label_space.semantic_of:
            what = "segment" if segment is None else "known category"
            raise ValueError(f"id {segment_id} of the map has no {what}; add it")
        semantic = label_space.semantic_of[segment.category_id]
        is_track = label_space.is_thing[semantic] and not segment.is_crowd
        tracks[segment_id] = semantic, (segment.instance or 0) if is_track else 0
    return tracks


def track_name(label_space: LabelSpace, semantic: int, number: int) -> str:
    """What a person calls a track: class and number, the class alone without one."""
    name = label_space.names()[semantic]
    return f"{name} {number}" if number else name


def track_color(label_space: LabelSpace, semantic: int, number: int) -> Color:
    """Colour of a track: the shade of its class that its number picks, for good."""
    red, green, blue = label_space.colors[semantic].tolist()
    return shade((red, green, blue), max(0, number - 1))


def track_colors(panoptic: PanopticMap, label_space: LabelSpace) -> dict[int, Color]:
    """RGB colour of every segment: a track's own, or that of its class; void black.

    Raises:
      ValueError: an id without a segment, or an unknown category.
    """
    return {
        segment_id: track_color(label_space, semantic, number)
        for segment_id, (semantic, number) in tracks_in(panoptic, label_space).items()
    }
