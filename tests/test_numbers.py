"""Numbers at their limits: the quick part of `soak_numbers.py`"""
import pytest

import soak_numbers


@pytest.mark.parametrize("part, cases", [(soak_numbers.losses, 144), (soak_numbers.fields, 150), (soak_numbers.gradients, 20), (soak_numbers.fits, 15)], ids=lambda o: getattr(o, "__name__", ""))
def test_numbers(part, cases):
    row = part(True).row()
    assert row["cases"]>=cases and not row["lost"], row["note"]
