"""Time stamps of an export and its check in a fresh process, as `kvision transfer` on the digits makes them.

Run: python tests/benchmarks/bench_export.py [--rounds 3] [--backbone EfficientNetLite0] [--size 96]

Each round is a process of its own, since the first export of a process is what a command waits for. The CPU seconds
are those of the exporting process and of the one that checks.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time


def once(backbone: str, size: int) -> None:
    import numpy as np

    import kvision as kv
    from kvision.export import saved_model, warmup

    model = kv.transfer.attach(kv.backbones.create(backbone, image_size=size, pooling="avg"), 10)
    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 3)).astype("uint8")
    model.predict(images, verbose=0)
    started = time.monotonic()

    def stamped(owner, name: str) -> None:
        function = getattr(owner, name)

        def call(*args, **kwargs):
            began, cpu = time.monotonic(), time.process_time()
            result = function(*args, **kwargs)
            now = time.monotonic()
            print(
                f"  {began - started:6.2f} - {now - started:6.2f} s   {name:<18} CPU {time.process_time() - cpu:.2f} s"
            )
            return result

        setattr(owner, name, call)

    for owner, name in [
        (kv.tasks.Classification, "cases"),
        (saved_model, "_write_saved_model"),
        (saved_model, "write_tflite"),
        (warmup, "write"),
        (subprocess.Popen, "communicate"),
    ]:
        stamped(owner, name)
    with tempfile.TemporaryDirectory() as folder:
        kv.export.write(model, folder, task=kv.tasks.Classification(list("abcdefghij")), probe=images)
    seconds, times = time.monotonic() - started, os.times()
    child = times.children_user + times.children_system
    print(f"{backbone}, {size} px: {seconds:.2f} s; checking process CPU {child:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", default="EfficientNetLite0")
    parser.add_argument("--size", type=int, default=96)
    arguments = parser.parse_args()
    if arguments.rounds == 0:
        once(arguments.backbone, arguments.size)
        return
    for _ in range(arguments.rounds):
        command = [sys.executable, __file__, "--rounds", "0", "--backbone", arguments.backbone]
        subprocess.run([*command, "--size", str(arguments.size)], check=True)


if __name__ == "__main__":
    main()
