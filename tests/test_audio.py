"""Every odd file is read, or refused in one line that names it."""
import time
import tracemalloc
import warnings

import numpy as np
import pytest
import soundfile as sf
import torch
from conftest import BAD, FINE, voice
from hypothesis import given, settings, strategies as st

from sere_nb.audio import (SR, AudioError, AudioWarning, audio_html, audio_info, frame_db, level_db, load_audio, set_level,
                           to_mono_16k, toy_voice, trim_edges)


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(odd, name):
    with pytest.raises(AudioError) as e: load_audio(odd/name)
    line = str(e.value)
    assert BAD[name] in line and line.startswith(str(odd/name)+":") and "\n" not in line
    assert line.endswith((".", ".wav")) and len(line.partition(": ")[2])<200


@pytest.mark.parametrize("name", FINE)
def test_read(odd, name):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        clip = load_audio(odd/name)
    assert clip.wave.dtype==torch.float32 and clip.wave.ndim==1 and clip.wave.isfinite().all()
    assert level_db(clip.wave)==pytest.approx(-26, abs=.01) and clip.wave.abs().max()<=1
    assert clip.file_s==pytest.approx(1, abs=.05)
    assert (name=="broken.flac")==bool(said)
    if name!="broken.flac": assert len(clip.wave)==pytest.approx(SR, rel=.15)


def test_info_of_what_is_fine(odd):
    for name in FINE: assert audio_info(odd/name).seconds==pytest.approx(1, abs=.05)
    assert audio_info(odd/"five.wav").channels==5


def test_broken_flac_says_so(odd):
    with pytest.warns(AudioWarning, match="broken.flac: damaged after 0.4"): load_audio(odd/"broken.flac")


def test_hole_in_the_middle(odd, tmp_path):
    data = bytearray((odd/"whole.flac").read_bytes())
    data[len(data)//2:len(data)//2+2000] = bytes(2000)
    p = tmp_path/"hole.flac"
    p.write_bytes(data)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        clip = load_audio(p)
    assert len(clip.wave)>.1*SR and "damaged" in str(said[0].message)


def test_two_hours_read_only_what_is_needed(two_hours):
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.warns(AudioWarning, match=r"7200.0 s long, cut to 5.0 s from 3.0 s"): clip = load_audio(two_hours, max_s=5)
    seconds, peak = time.perf_counter()-start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(clip.wave)==5*SR and clip.file_s==7200
    assert seconds<2 and peak<20e6   # decoded whole it would be 230 MB


def test_leading_silence_beyond_the_window(tmp_path):
    p = tmp_path/"late.wav"
    sf.write(p, np.concatenate([np.zeros(20*SR, "float32"), voice()]), SR)
    with pytest.raises(AudioError, match="silence, .* in the 15.0 s read"): load_audio(p, max_s=5)
    assert load_audio(p, max_s=None).start_s==pytest.approx(20, abs=.1)


def test_cap_is_exact_and_optional(tmp_path):
    p = tmp_path/"a.wav"
    sf.write(p, voice(4.), SR)
    with pytest.warns(AudioWarning): assert len(load_audio(p, max_s=1.5).wave)==1.5*SR
    with pytest.warns(AudioWarning): assert len(load_audio(p, max_s=1.5, trim=False).wave)==1.5*SR
    assert len(load_audio(p, max_s=None, trim=False).wave)==4*SR


def test_start_points_into_the_file(tmp_path):
    p = tmp_path/"a.wav"
    v = torch.cat([torch.zeros(SR), toy_voice(1.), torch.zeros(SR)])
    sf.write(p, v.numpy(), SR, subtype="FLOAT")
    clip = load_audio(p, level=False)
    first = round(clip.start_s*SR)
    assert torch.allclose(clip.wave, v[first:first+len(clip.wave)]-v.mean(), atol=1e-6)


def test_level_and_silence_around_do_not_matter(tmp_path):
    waves = []
    for i, (gain, pad) in enumerate(((1., 0), (.05, 1.2), (.3, .4))):
        p = tmp_path/f"{i}.wav"
        sf.write(p, np.pad(gain*voice(1.5), int(pad*SR)), SR, subtype="FLOAT")
        waves.append(load_audio(p).wave)
    n = min(map(len, waves))
    assert max(map(len, waves))-n<.12*SR
    a, b, c = (frame_db(w)[frame_db(w)>-40].mean() for w in waves)
    assert abs(a-b)<.5 and abs(a-c)<.5


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4*SR), st.floats(1e-4, 1), st.integers(0, 3))
def test_trim_stays_inside(n, gain, seed):
    wave = gain*torch.randn(n, generator=torch.Generator().manual_seed(seed))
    start, stop = trim_edges(wave)
    assert 0<=start<stop<=n
    assert set_level(wave).abs().max()<=.9901


@settings(max_examples=25, deadline=None)
@given(st.integers(2000, 200000))
def test_any_rate(rate):
    out = to_mono_16k(np.zeros((rate//10, 2), "float32"), rate)
    assert len(out)==pytest.approx(SR/10, abs=12)


def test_html_escapes_and_caps(odd):
    page = audio_html(odd/"plain.wav", label='"><script>alert(1)</script>')
    assert "<script" not in page and page.count("<audio")==1
    assert len(audio_html(toy_voice(6.), max_s=.5))<len(audio_html(toy_voice(6.), max_s=5.))/4
