"""Turns COCO's instances into masks that `kvision segment` reads.

Writes OUT/masks (a PNG for each image), OUT/images (a link to IMAGES) and OUT/classes.txt. For held-out images run it
twice, into OUT/train and OUT/val, and give one of the two classes.txt to `kvision segment --data OUT --classes`.
Needs the extra `detection`.
"""

import sys
from collections.abc import Sequence

from kvision import flags, runs, writable

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status: 0, 1 if an image is not there, 2 for a wrong call."""
    parser = flags.Parser(prog="kvision coco-masks", description=__doc__)
    parser.add_argument("annotations", metavar="ANNOTATIONS", help="instances_*.json")
    parser.add_argument("images", metavar="IMAGES", help="folder of the images that it lists")
    parser.add_argument("out", metavar="OUT", help="folder that is made, or gone on with")
    arguments = parser.parse_args(argv)

    def work() -> int:
        from kvision.data import coco_masks

        writable.require(arguments.out, argument="OUT")
        missing = coco_masks(arguments.annotations, arguments.images, arguments.out)
        for name in missing[:20]:
            print(f"  {name}: is not in {arguments.images}", file=sys.stderr)
        if missing:
            print(f"{len(missing)} images that are listed are not there.", file=sys.stderr)
        print(f"Next:\n  kvision segment --data {arguments.out}")
        return int(bool(missing))

    return runs.ended("coco-masks", work, out=arguments.out, argument="OUT")
