"The house in CONTRIBUTING is the code's, and nobody imports in a circle"
import sys
from pathlib import Path

import pytest

root = Path(__file__).parent.parent
sys.path.insert(0, str(root/'.ci'))
import house


def test_the_drawing_is_the_code(): assert house.drawn(text := house.FILE.read_text(encoding='utf-8')) == text, 'run make clean-nbs'


def test_one_direction():
    found = house.imports()
    assert len(found) > 10 and found['cli'] and not found['files'] and set(house.stairs(found)) == set(found)
    with pytest.raises(ValueError, match='a, b'): house.stairs(dict(a={'b'}, b={'a'}, c=set()))


def test_arrows_that_a_longer_way_goes_are_left_out():
    text = house.drawing(dict(a=set(), b={'a'}, c={'a', 'b'}), dict(a='00_a', b='01_b', c='09_c'))
    assert 'a --> b' in text and 'b --> c' in text and 'a --> c' not in text and text.index('01 · b') < text.index('subgraph use') < text.index('09 · c')
