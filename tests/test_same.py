"""The same seed gives the same bytes, and memory stays flat: the quick parts of `soak_same.py` and `soak_long.py`"""
import soak_long, soak_same


def test_same_seed_same_bytes_and_threads_within_tolerance():
    same, threads = soak_same.soak(quick=True)
    assert same["cases"]>300 and not same["lost"], same["note"]
    assert threads["cases"]==1 and not threads["lost"] and "of 120 predictions" in threads["note"], threads["note"]


def test_memory_is_flat():
    rows = list(soak_long.soak(quick=True))
    assert not [o["note"] for o in rows if o["lost"]]
    assert [o["cases"] for o in rows] in ([600, 19], [0])
