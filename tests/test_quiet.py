import subprocess
import sys

import pytest

from kvision.quiet import quiet


def test_silences_python_and_c_and_gives_back():
    code = (
        "import os, sys; from kvision.quiet import quiet\n"
        "with quiet():\n    print('python', file=sys.stderr); os.write(2, b'native')\n"
        "os.write(2, b'after'); print(' python', file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr == "after python\n"


def test_exceptions_pass():
    with pytest.raises(RuntimeError), quiet():
        raise RuntimeError
