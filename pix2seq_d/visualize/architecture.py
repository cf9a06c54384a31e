"""Draws a config's model: its parts, their shapes and cost, and what runs how often."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from pix2seq_d.config import ModelConfig
from pix2seq_d.models.summary import Part, summarize
from pix2seq_d.visualize.diagram import GREY, Diagram

# Colors of what runs once an image and of what runs at every step: ground, outlines.
_IMAGE, _STEP = ("#eaf2fb", "#2b6cb0"), ("#fdf1e3", "#b7501c")
# Inches: the page, a box, and the middles of the columns.
_RIGHT, _PITCH, _BOX, _TALL = 16.0, 0.98, 2.4, 0.72
_ENCODER, _PYRAMID, _CHANNEL, _DOWN, _MIDDLE, _UP = 1.7, 4.75, 6.45, 8.4, 11.25, 14.1
_ENCODER_ROWS = ("image", "stem", "group1", "group2", "group3", "transformer")

_X0 = {
    "x_softmax_xent": "expected bits under the softmax",
    "x_sigmoid_xent": "sigmoid of every bit",
    "x": "the output itself",
    "eps": "from the predicted eps",
    "v": "from the predicted v",
}


def draw(config: ModelConfig) -> Figure:
    """Draws the model.

    One panel holds what runs once an image (an unconditional model has none), one what
    runs at every denoising step. A box shows the shape of its output for one image,
    its parameters and its FLOPs, twice the multiply-accumulates.

    Args:
      config: of any model.
    Returns:
      A figure for `diagram.save`.
    Source: ours; the numbers are those of `models.summary`.
    """
    drawing = _Model(config, summarize(config))
    drawing.heading()
    if config.conditioning:
        drawing.image_panel()
    drawing.step_panel()
    return drawing.page.figure


class _Model:
    """The page and the parts; rows of boxes are counted from the top."""

    def __init__(self, config: ModelConfig, parts: Sequence[Part]) -> None:
        self.config = config
        self.parts = parts
        rows = len(config.decoder.channel_multipliers) + 3
        self.left = _CHANNEL
        if config.conditioning:
            rows = max(rows, len(_ENCODER_ROWS))
            self.left = 0.0
        # The box of the input channels grows upwards from row 0.
        self.title = _tall(self.input_lines()) - _TALL / 2 + 0.39
        self.top = self.title + 0.85
        self.page = Diagram(self.left, _RIGHT, rows * _PITCH + self.top)
        self.height = rows * _PITCH + self.top

    def y(self, row: float) -> float:
        return self.height - self.top - row * _PITCH

    def named(self, module: str, *names: str) -> list[Part]:
        """Parts of a module whose names begin with one of `names`; all without."""
        own = [part for part in self.parts if part.module == module]
        return [part for part in own if not names or part.name.startswith(names)]

    def box(self, x: float, row: float, lines: Sequence[str], color: str) -> None:
        tall = _tall(lines)
        y = self.y(row) + (tall - _TALL) / 2
        self.page.box(x, y, lines, width=_BOX, height=tall, color=color)

    def part_box(
        self, x: float, row: float, title: str, parts: Sequence[Part], color: str
    ) -> None:
        """A box of parts with the shape of the last of them."""
        self.box(x, row, [title, _shape(parts[-1].shape), _cost(parts)], color)

    def down(self, x: float, row: float) -> None:
        """An arrow from the box in a row to the next."""
        self.page.arrow((x, self.y(row) - _TALL / 2), (x, self.y(row + 1) + _TALL / 2))

    def up(self, x: float, row: float, to: float) -> None:
        """An arrow from the box in a row to a higher one."""
        self.page.arrow((x, self.y(row) + _TALL / 2), (x, self.y(to) - _TALL / 2))

    def heading(self) -> None:
        config, page = self.config, self.page
        sizes = f"mask of {_shape(config.mask_size)} pixels"
        if config.conditioning:
            sizes = f"image of {_shape(config.image_size)}, {sizes}"
        params = sum(part.params for part in self.parts)
        title = f"Pix2Seq-D: {sizes}, {params:,d} parameters"
        page.text(
            self.left + 0.4, self.height - 0.3, title, size=14, bold=True, left=True
        )
        legend = (
            "in a box: shape of its output for one image (of `down` after the "
            "resampling), parameters, FLOPs"
        )
        page.text(self.left + 0.4, self.height - 0.57, legend, color=GREY, left=True)

    def panel(
        self, left: float, right: float, rows: int, title: str, colors: tuple[str, str]
    ) -> None:
        top = self.y(0) + self.title
        self.page.panel(left, right, self.y(rows - 1) - 0.6, top, color=colors[0])
        spot = left + 0.2, top - 0.2
        self.page.text(*spot, title, color=colors[1], size=11, bold=True, left=True)

    def image_panel(self) -> None:
        """Encoder downwards, pyramid upwards."""
        config, page, color = self.config, self.page, _IMAGE[1]
        last = len(_ENCODER_ROWS) - 1
        cost = _cost([*self.named("encoder"), *self.named("pyramid")])
        self.panel(0.2, _CHANNEL - 0.2, last + 1, f"once an image: {cost}", _IMAGE)
        image = _shape((*config.image_size, 3))
        self.box(_ENCODER, 0, ["image", image, "RGB in [0, 1]"], color)
        for row, title in ((1, "stem"), (2, "C2"), (3, "C3"), (4, "C4")):
            parts = self.named("encoder", _ENCODER_ROWS[row])
            self.part_box(_ENCODER, row, title, parts, color)
        parts = self.named("encoder", "input", "layers", "output norm")
        title = _transformer(config.encoder.num_layers)
        self.part_box(_ENCODER, last, title, parts, color)
        for row in range(last):
            self.down(_ENCODER, row)

        # A block merges what comes from below with the map in its own row.
        right, left = _ENCODER + _BOX / 2, _PYRAMID - _BOX / 2
        below = last
        for row, name in ((3, "block2"), (2, "block1"), (1, "block0")):
            parts = self.named("pyramid", name)
            if not parts:
                continue
            title = "upsample" if row == 1 else f"upsample, + C{row}"
            self.part_box(_PYRAMID, row, title, parts, color)
            if row > 1:
                page.arrow((right, self.y(row)), (left, self.y(row)))
            if below == last:
                y = self.y(last) + 0.15
                head = _PYRAMID, self.y(row) - _TALL / 2
                page.arrow((right, y), (_PYRAMID, y), head)
            else:
                self.up(_PYRAMID, below, row)
            below = row
        if "concat" in config.conditioning:
            # From the last block (or the transformer) to the decoder's input.
            start, y = (
                (_PYRAMID, self.y(below))
                if below < last
                else (_ENCODER, self.y(last) + 0.15)
            )
            top = self.y(0)
            points = (start + _BOX / 2, y), (_CHANNEL, y), (_CHANNEL, top)
            page.arrow(*points, (_DOWN - _BOX / 2, top))

    def step_panel(self) -> None:
        """The U-Net: down on the left, transformer at the bottom, up on the right."""
        config, page, color = self.config, self.page, _STEP[1]
        levels = len(config.decoder.channel_multipliers)
        bottom = levels + 2
        cost = _cost(self.named("decoder"))
        title = f"at every denoising step: {cost}"
        self.panel(_CHANNEL + 0.2, _RIGHT - 0.2, bottom + 1, title, _STEP)

        self.box(_DOWN, 0, self.input_lines(), color)
        self.part_box(_DOWN, 1, "input", self.named("decoder", "input"), color)
        bits = _shape((*config.mask_size, config.num_bits))
        self.box(_UP, 0, ["x0", bits, _X0[config.prediction]], color)
        self.part_box(_UP, 1, "output", self.named("decoder", "output"), color)
        parts = self.named("decoder", "time")
        self.part_box(_MIDDLE, 1, "time code of gamma", parts, color)
        left, right = _DOWN + _BOX / 2, _UP - _BOX / 2
        for level in range(levels):
            row, y = level + 2, self.y(level + 2)
            parts = self.named("decoder", f"down{level}")
            self.part_box(_DOWN, row, f"down {level}", parts, color)
            parts = self.named("decoder", f"up{level}")
            self.part_box(_UP, row, f"up {level}", parts, color)
            page.arrow((left, y - 0.1), (right, y - 0.1))  # skip connections
        for row in range(bottom - 1):
            self.down(_DOWN, row)
            self.up(_UP, row + 1, row)
        self.middle(bottom)
        self.time_arrows(levels)
        # The new mask, and the estimate of a self-conditioned model, come back.
        page.arrow((right, self.y(0)), (left, self.y(0)))
        page.text(_MIDDLE, self.y(0) + 0.14, "DDIM: xt of the next step")
        if config.self_cond_estimate != "none":
            estimate = {"x": "x0", "eps": "eps"}[config.self_cond_estimate]
            page.text(_MIDDLE, self.y(0) - 0.14, f"and the estimate of {estimate}")

    def input_lines(self) -> list[str]:
        """What the channels of the decoder's input hold, in their order."""
        config = self.config
        bits, frames = config.num_bits, config.num_cond_frames
        channels = {f"noisy mask xt: {bits}": bits}
        if config.self_conditioning != "none":
            channels[f"last estimate: {bits}"] = bits
        # What is concatenated: the pyramid's output, or zeros in its place.
        width = self.feature_channels()
        name = "features" if "concat" in config.conditioning else "zeros"
        channels[f"{name}: {width}"] = width
        if frames:
            channels[f"{frames} past masks: {frames * bits}"] = frames * bits
        shape = _shape((*config.mask_size, sum(channels.values())))
        return ["input channels", *channels, shape]

    def feature_channels(self) -> int:
        """Channels of the fused features."""
        blocks = self.named("pyramid")
        if blocks:
            return blocks[-1].shape[-1]
        conditional = bool(self.config.conditioning)
        return self.config.encoder.dim if conditional else self.config.pyramid.dim

    def middle(self, row: int) -> None:
        """The transformer below the U-Net, and where the image's tokens enter it."""
        config, page, y = self.config, self.page, self.y(row)
        title = _transformer(config.decoder.transformer_layers)
        parts = self.named("decoder", "middle layers", "middle ends")
        shape = self.named("decoder", "middle ends")[-1].shape
        self.box(_MIDDLE, row, [title, _shape(shape), _cost(parts)], _STEP[1])
        left, right = _MIDDLE - _BOX / 2, _MIDDLE + _BOX / 2
        low = self.y(row - 1) - _TALL / 2
        page.arrow((_DOWN, low), (_DOWN, y + 0.15), (left, y + 0.15))
        page.arrow((right, y), (_UP, y), (_UP, low))
        if "cross_attention" in config.conditioning:
            last = self.y(len(_ENCODER_ROWS) - 1) - 0.15
            turn = (_CHANNEL, last), (_CHANNEL, y - 0.15)
            page.arrow((_ENCODER + _BOX / 2, last), *turn, (left, y - 0.15))
            page.text(_DOWN, y - 0.29, "image tokens to cross-attention")

    def time_arrows(self, levels: int) -> None:
        """The time code scales and shifts every block, and is a token in the middle."""
        page, y = self.page, self.y(1)
        sides = ((_MIDDLE - 0.5, _DOWN + _BOX / 2), (_MIDDLE + 0.5, _UP - _BOX / 2))
        start = y - _TALL / 2
        for x, end in sides:
            for level in range(levels):
                at = self.y(level + 2) + 0.14
                page.arrow((x, start), (x, at), (end, at), soft=True)
        token = self.y(levels + 2) + _TALL / 2
        page.arrow((_MIDDLE, start), (_MIDDLE, token), soft=True)


def _transformer(layers: int) -> str:
    return f"transformer, {layers} layer{'' if layers == 1 else 's'}"


def _tall(lines: Sequence[str]) -> float:
    return max(_TALL, 0.2 * len(lines) + 0.12)


def _shape(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _cost(parts: Sequence[Part]) -> str:
    """Parameters and FLOPs of parts, to three digits."""
    params = sum(part.params for part in parts)
    flops = 2 * sum(part.macs for part in parts)
    few = f"{params / 1e3:.3g} k" if params < 1e6 else f"{params / 1e6:.3g} M"
    work = f"{flops / 1e6:.3g} MFLOP" if flops < 1e8 else f"{flops / 1e9:.3g} GFLOP"
    return f"{few} parameters, {work}"
