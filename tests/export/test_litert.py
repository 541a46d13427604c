import ast
import resource
import shutil
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.export import litert


def test_runner_answers_for_any_batch_with_the_labels_of_a_moved_file(exported, images, expected, tmp_path):
    moved = tmp_path / "mein modell.tflite"
    shutil.copy(exported / "assets.extra/model.tflite", moved)
    runner = litert.Runner(moved)
    assert runner.labels == ["Hund", "猫", "o l w"] and runner.image_size == 32
    for count in (1, 3, 5):
        np.testing.assert_allclose(runner(images[:count])["probabilities"], expected[:count], atol=1e-5)


def test_labels_are_an_associated_file_of_the_format(exported):
    with zipfile.ZipFile(exported / "assets.extra/model.tflite") as archive:
        assert sorted(archive.namelist()) == ["labels.txt", "task.json"]


def test_only_built_in_operations(exported):
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from ai_edge_litert.interpreter import Interpreter\n"
        f"i = Interpreter({str(exported / 'assets.extra/model.tflite')!r}); i.allocate_tensors()\n"
        "print(sorted({d['op_name'] for d in i._get_ops_details()}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0 and "CONV_2D" in result.stdout and "Flex" not in result.stdout, result.stderr


def test_an_operation_without_a_built_in_is_an_error_not_a_file():
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, keras.ops.erfinv(image / 300))
    with pytest.raises(Exception, match=r"(?i)erfinv|custom|flex"):
        litert.convert(model)


@pytest.mark.parametrize("content", [b"", b"TFL3" * 100, b"\x1c\x00\x00\x00TFL3" + bytes(64)])
def test_files_that_are_no_model(tmp_path, content):
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match="no TFLite model"):
        litert.Runner(path)


def test_a_model_of_others_without_our_signature_is_refused(model, tmp_path):
    path = tmp_path / "x.tflite"
    path.write_bytes(litert.convert(model))
    with pytest.raises(UserError, match="signature `predict`"):
        litert.Runner(path)


@pytest.fixture
def flatbuffer(exported) -> bytes:
    """The exported model without the zip of labels."""
    whole = (exported / "assets.extra/model.tflite").read_bytes()
    return whole[: whole.rindex(b"PK\3\4")]


def test_labels_behind_the_model_are_read_within_bounds(flatbuffer, tmp_path):
    path = tmp_path / "x.tflite"
    for members, method, text in [
        ({"labels.txt": "a" * (1 << 21)}, zipfile.ZIP_STORED, "2,097,152 bytes"),
        ({"labels.txt": "a" * (1 << 28)}, zipfile.ZIP_DEFLATED, "is compressed"),
        ({"labels.txt": b"\xff\xfe"}, zipfile.ZIP_STORED, "utf-8"),
    ]:
        path.write_bytes(flatbuffer)
        with zipfile.ZipFile(path, "a", method) as file:
            for name, content in members.items():
                file.writestr(name, content)
        with pytest.raises(UserError, match=f"class names that cannot be read .*{text}"):
            litert.Runner(path)
    path.write_bytes(flatbuffer)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("other.txt", "a")
    assert litert.Runner(path).labels is None


def test_declared_sizes_are_looked_at_before_memory(flatbuffer, tmp_path):
    """4 KB that declare images of 20,000 and of 3,000 pixels."""
    for side, text in [(20_000, "bytes for one image"), (3_000, "at most 2048 pixels")]:
        content = flatbuffer
        for batch in (1, -1):
            old = struct.pack("<4i", batch, 32, 32, 3)
            assert old in content
            content = content.replace(old, struct.pack("<4i", batch, side, side, 3))
        path = tmp_path / "x.tflite"
        path.write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(UserError, match=text):
            litert.Runner(path)
        if side == 20_000:
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


FUZZ = """
import os, random, resource, sys
from pathlib import Path
import numpy as np
from kvision.checks import UserError
from kvision.export.litert import Runner

content, path, outcomes = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), {}
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for seed in range(200):
    chance, data = random.Random(seed), bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 6])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data if seed % 10 else data[: chance.randrange(len(data))])
    child = os.fork()
    if child == 0:
        code = 3
        try:
            Runner(path, threads=1)(np.zeros((2, 32, 32, 3)))
            code = 0
        except UserError:
            code = 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    outcomes[code] = outcomes.get(code, 0) + 1
print(outcomes)
"""


def test_changed_and_cut_files_are_refused_or_run(flatbuffer, tmp_path):
    """LiteRT verifies the flatbuffer; what it lets through may still not be run. Nothing but our exception leaves."""
    (tmp_path / "good").write_bytes(flatbuffer)
    command = [sys.executable, "-c", FUZZ, str(tmp_path / "good"), str(tmp_path / "x.tflite")]
    result = subprocess.run(command, capture_output=True, text=True)
    outcomes = ast.literal_eval(result.stdout)
    assert set(outcomes) <= {0, 1} and outcomes[1] > 20, (outcomes, result.stderr[-2000:])


def test_threads_that_share_a_runner_get_their_own_answers(exported, images, expected):
    """The interpreter has one memory for inputs and outputs, and lets other threads run while it computes."""
    runner = litert.Runner(exported / "assets.extra/model.tflite")

    def wrong(i: int) -> int:
        ours = range(i, len(images))  # batches of different sizes
        return sum(np.abs(runner(images[ours])["probabilities"] - expected[ours]).max() > 1e-4 for _ in range(60))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(wrong, range(4))) == 0
