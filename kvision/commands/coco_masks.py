"""Converts COCO annotations into masks that `kvision segment` reads.

Writes OUT/masks (a PNG for each image), OUT/images (a link to IMAGES) and OUT/classes.txt. If you
have two files of annotations, run the command twice, with the folders `train` and `val` as OUT.
The example shows this. The command needs the extra `detection`.

Run:      kvision coco-masks instances_train2017.json train2017 coco/train
          kvision coco-masks instances_val2017.json val2017 coco/val
          kvision segment --data coco --classes coco/train/classes.txt
"""

import sys
from collections.abc import Sequence

from kvision import flags, runs, writable

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: The command line after `kvision coco-masks`.

    Returns:
        The exit status: 0, 1 if an image is missing, or one of `kvision.exit_codes`.
    """
    usage = "%(prog)s ANNOTATIONS IMAGES OUT"
    parser = flags.Parser(prog="kvision coco-masks", description=__doc__ or "", usage=usage)
    parser.add_argument("annotations", metavar="ANNOTATIONS", help="COCO file, such as instances_val2017.json")
    parser.add_argument("images", metavar="IMAGES", help="folder of the images that the file lists")
    parser.add_argument("out", metavar="OUT", help="folder for the masks, new or from an earlier call")
    arguments = parser.parse_args(argv)

    def work() -> int:
        from kvision.data import coco_masks

        writable.require(arguments.out, argument="OUT")
        missing = coco_masks(arguments.annotations, arguments.images, arguments.out)
        for name in missing[:20]:
            print(f"  {name}: is not in {arguments.images}", file=sys.stderr)
        if missing:
            print(f"{len(missing)} listed images are missing.", file=sys.stderr)
        print(f"Next:\n  kvision segment --data {arguments.out}")
        return int(bool(missing))

    return runs.ended(parser, work, out=arguments.out, argument="OUT")
