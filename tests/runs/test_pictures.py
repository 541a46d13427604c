import sys

import forks


def test_without_matplotlib_the_left_out_pictures_are_named(tmp_path):
    code = (
        "import sys, importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'matplotlib' else find(name, *a)\n"
        "from kvision.runs.pictures import draw\n"
        "print(draw({'x.png': print}, None))"
    )
    result = forks.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Left out" in result.stdout and "x.png" in result.stdout and "[plots]" in result.stdout
    assert result.stdout.strip().endswith("[]")
