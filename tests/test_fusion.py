"""Which CPUs run fused convolutions slowly."""

import pytest

from kvision.fusion import is_slow


@pytest.mark.parametrize(
    ("flags", "slow"),
    [
        ("fpu sse4_2 avx avx2 fma", True),
        ("fpu sse4_2 avx avx2 fma avx512f avx512_vnni", False),
        ("fpu sse4_2", False),
        ("", False),
    ],
)
def test_only_cpus_with_avx2_and_without_avx512(flags, slow):
    assert is_slow(f"processor\t: 0\nmodel name\t: avx512f\nflags\t\t: {flags}\n\nprocessor\t: 1\n") == slow
