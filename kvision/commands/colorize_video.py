"""Colors a video with an exported model, and copies its sound unchanged.

MODEL is a .tflite file, or the folder of an exported model that colors pictures
(`kvision colorize`). IN is a video, gray or in color. OUT is an .mp4, .m4v, .mov or .mkv file. It
appears when it is complete. The command needs the extra `video`.

A model that was trained with neighboring frames (`kvision colorize --frames 3`) gets them, except
over cuts between scenes. --frames 1 gives it the frame itself instead of its neighbors.

--longest-side N colors smaller images, enlarges their colors, and keeps the sharp gray picture.
This is faster, and large areas often get better colors, since the model was trained with small
images.

A damaged video is colored as far as it can be decoded. The damage is reported, and the exit
status is then 1.

A .tflite file contains no code. With --engine tensorflow the command loads the SavedModel instead.
A SavedModel is code that can read and write your files. Load it only if you know where the model
comes from.

Run:      kvision colorize-video saved_models/colorize old.mp4 colored.mp4
          kvision colorize-video model.tflite old.mp4 colored.mkv --longest-side 320
"""

import itertools
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kvision import checks, choices, flags, runs, writable

if TYPE_CHECKING:
    import argparse

    import numpy as np

    from kvision.pixels.video_reader import VideoReader
    from kvision.tasks.opened import Opened

__all__ = ["main"]

_TASK = "colorization"


def main(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: The command line after `kvision colorize-video`.

    Returns:
        The exit status: 0, 1 if the video is damaged, or one of `kvision.exit_codes`.
    """
    parser = flags.Parser(
        prog="kvision colorize-video", description=__doc__ or "", usage="%(prog)s MODEL IN OUT [flags]"
    )
    parser.add_argument("path", metavar="MODEL", help=".tflite file, or folder of an exported model")
    parser.add_argument("video", metavar="IN", help="video that FFmpeg can decode")
    parser.add_argument("out", metavar="OUT", help=".mp4, .m4v, .mov or .mkv file; an existing file is replaced")
    parser.add_argument(
        "--frames", type=int, metavar="N", help="frames that the model sees at once (default: all that it takes)"
    )
    parser.add_argument("--longest-side", type=int, metavar="N", help="color images of this longest side, in pixels")
    parser.add_argument("--first", type=int, metavar="N", help="color only the first N frames, to try a model")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="frames for each call (default: 1)")
    parser.add_argument(
        "--quality", type=int, default=18, metavar="N", help="0 (lossless) to 51 (smallest file) (default: 18)"
    )
    parser.add_argument(
        "--engine",
        default="tflite",
        metavar="NAME",
        help="tflite, or tensorflow (runs code of the model) (default: tflite)",
    )
    arguments = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Otherwise oneDNN logs many lines.

    def work() -> int:
        with runs.told_of_sigterm():  # so that the unfinished file is removed
            return _work(arguments)

    return runs.ended(parser, work, out=Path(arguments.out).parent, argument="OUT")


def _work(arguments: "argparse.Namespace") -> int:
    for name in ("longest_side", "first", "batch_size", "frames"):
        checks.positive({f"--{name.replace('_', '-')}": getattr(arguments, name)})
    checks.one_of("--engine", arguments.engine, choices.ENGINES)
    out = Path(arguments.out)
    if out.exists() and out.samefile(arguments.video):
        raise checks.UserError("OUT", problem="is the video that is read", expected="another file", received=str(out))
    writable.require(out.parent, argument="OUT")

    from kvision.pixels.video_reader import VideoReader
    from kvision.pixels.video_writer import VideoWriter
    from kvision.tasks.opened import open_model

    with VideoReader(arguments.video, argument="IN") as video:
        opened = open_model(Path(arguments.path), engine=arguments.engine)
        predict, neighbors = _predictor(opened, arguments)
        sound = arguments.video if arguments.first is None else None
        writer = VideoWriter(out, video.info, sound=sound, quality=arguments.quality, argument="OUT")
        start = time.monotonic()
        with writer:
            _color(video, writer, predict, neighbors, arguments)
    rate = video.read / (time.monotonic() - start)
    print(f"{out}: {video.read} frames, {rate:.1f} frames a second")
    if not video.problem:
        return 0
    print(
        f"kvision colorize-video: {arguments.video}: {video.problem}. What could be read is colored.", file=sys.stderr
    )
    return 1


def _predictor(opened: "Opened", arguments: "argparse.Namespace") -> tuple[Callable[..., "np.ndarray"], int]:
    """Returns a function for `kv.colorization.colorized`, and the number of neighbors that it takes."""
    import numpy as np

    from kvision.colorization import at_size

    task, shapes = getattr(opened.task, "name", ""), opened.inputs
    known = shapes.keys() <= {"image", "neighbors"} and shapes.get("image", ())[1:3] == (-1, -1)
    if task != _TASK or not known:
        raise checks.UserError(
            "MODEL",
            problem="cannot color videos",
            expected="a model of the task colorization that takes images of any size, and perhaps neighbors",
            received=f"{arguments.path}: {task}, with the inputs {shapes}",
        )
    neighbors = shapes["neighbors"][3] if "neighbors" in shapes else 0
    frames = neighbors + 1 if arguments.frames is None else arguments.frames
    if frames % 2 == 0 or frames > neighbors + 1:
        expected = f"an odd number, at most {neighbors + 1}, because the model takes {neighbors} neighbors"
        raise checks.UserError("--frames", expected=expected, received=frames)

    def predict(images: "np.ndarray", *beside: "np.ndarray") -> "np.ndarray":
        inputs = {"image": images}
        if neighbors:
            filled = opened.task.fill(images, shapes)["neighbors"]  # the gray of the frame itself
            inputs["neighbors"] = _filled(beside[0], neighbors) if beside else filled
        found = [value for value in opened.call(**inputs).values() if np.shape(value) == images.shape]
        if len(found) != 1:
            raise checks.UserError("MODEL", expected="one output with a colored image", received=len(found))
        return found[0]

    return at_size(predict, arguments.longest_side), frames - 1


def _filled(beside: "np.ndarray", neighbors: int) -> "np.ndarray":
    """Repeats the outermost frame on both sides until there are `neighbors`."""
    import numpy as np

    missing = (neighbors - beside.shape[3]) // 2
    return np.pad(beside, [(0, 0), (0, 0), (0, 0), (missing, missing)], mode="edge")


def _color(video: "VideoReader", writer, predict: Callable, neighbors: int, arguments: "argparse.Namespace") -> None:
    from kvision.colorization import colorized
    from kvision.progress import Bar

    times: deque[int] = deque()  # of the frames that are read and not yet written

    def images() -> Iterator["np.ndarray"]:
        for frame in itertools.islice(video, arguments.first):
            times.append(frame.time)
            yield frame.image

    total = video.info.frame_count if arguments.first is None else arguments.first
    with Bar(desc="colorize", total=total, unit=" frames") as bar:
        for image in colorized(images(), predict, neighbors=neighbors, batch_size=arguments.batch_size):
            writer.write(image, times.popleft())
            bar.update()
