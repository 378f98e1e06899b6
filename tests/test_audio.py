"""Every odd file is read, or refused in one line that names it."""
import io
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile as sf
import torch
from conftest import BAD, FINE, voice
from hypothesis import given, settings, strategies as st

from sere_nb import audio
from sere_nb.audio import (SR, AudioError, AudioWarning, audio_html, audio_info, frame_db, level_db, load_audio, set_level,
                           to_mono_16k, toy_voice, trim_edges)


def test_old_places():
    "Audio is in rooms; what could be imported from it still can, and is the same"
    from sere_nb import audio, opening, sounds, waves
    rooms = [o for room in (sounds, opening, waves) for o in room.__all__]
    names = """SR LEAD_S MIN_S SILENT_DB RATES LOUDEST FRAME HOP AudioError SilentError AudioWarning toy_voice Stretch stretch stretch_name
        AudioInfo audio_info to_mono_16k frame_db trim_edges plot_wave set_level level_db Clip load_audio audio_html""".split()
    assert {*names, "take_turns"}==set(audio.__all__)=={*rooms, "Clip", "load_audio", "audio_html", "take_turns"}
    for room in (sounds, opening, waves):
        for o in room.__all__: assert getattr(audio, o) is getattr(room, o)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24414, 44100, 48000, 96000, 192000])
def test_tones_come_through_as_they_are_and_none_comes_back_mirrored(rate):
    "As soxr's: what is below stays, sample for sample, and what is above is gone"
    from sere_nb.waves import _ratio
    old, new = _ratio(rate)
    tone = lambda hz, rate, n: torch.sin(2*torch.pi*hz*torch.arange(n, dtype=float)/rate)
    top = min(rate, SR)/2
    for hz in (60., 1000., 3200., .9*top):
        if hz>.9*top: continue
        y = to_mono_16k(tone(hz, rate, rate//2), rate)
        away = (y-tone(hz, rate*new/old, len(y)))[2000:-2000]
        assert 10*away.square().mean().log10()<-80, hz
    for hz in (8100., 8500., 9500., 12500.):
        if hz<rate/2: assert to_mono_16k(tone(hz, rate, rate//2), rate)[2000:-2000].abs().max()<1e-4, hz


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


# ---- cut short, put together, or no sound at all ----

def told(path, **kw):
    """(clip, what was said) of a file."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        clip = load_audio(path, **kw)
    return clip, [str(o.message) for o in said]


def written(path, seconds=6., **kw):
    """Bytes of the toy voice as a file of that kind."""
    sf.write(path, voice(seconds), SR, **kw)
    return path.read_bytes()


DECLARING = {"pcm.wav": {}, "float.wav": dict(subtype="FLOAT"), "24.wav": dict(subtype="PCM_24"), "x.aiff": {}, "x.au": {}, "64.w64": dict(format="W64"), "rf.wav": dict(format="RF64"), "ulaw.wav": dict(subtype="ULAW")}


@pytest.mark.parametrize("share", [.5, .9])
@pytest.mark.parametrize("name", DECLARING)
def test_declared_against_present(tmp_path, name, share):
    p = tmp_path/name
    data = written(p, **DECLARING[name])
    assert told(p)[1]==[]
    p.write_bytes(data[:int(share*len(data))])
    clip, said = told(p)
    assert clip.file_s==pytest.approx(6*share, abs=.02)
    assert said==[f"{p}: cut short: its header declares 6.0 s, but {clip.file_s:.1f} s are there and used. Copy or download it again."]


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_without_its_end(tmp_path, subtype):
    """Cut within a page, in its first bytes, and between two; with something behind the end, it is whole."""
    p = tmp_path/"a.ogg"
    data = written(p, 20., format="OGG", subtype=subtype)
    pages = [i for i in range(len(data)) if data.startswith(b"OggS", i)]
    for cut in (len(data)//2, pages[-3]+9, pages[-1], len(data)-1):
        p.write_bytes(data[:cut])
        clip, said = told(p)
        assert 4<clip.file_s<20 and said==[f"{p}: its end is missing; the {clip.file_s:.1f} s that are there are used. Copy or download it again."]
    p.write_bytes(data+b"TAG"+bytes(125))
    assert told(p)[1]==[]


@pytest.mark.parametrize("a, b", [("v.ogg", "v.ogg"), ("o.opus", "v.ogg"), ("o.opus", "o.opus"), ("m.mp3", "m.mp3"), ("m.mp3", "tagged.mp3"), ("tagged.mp3", "m.mp3")])
def test_two_in_one_file(tmp_path, a, b):
    data = {"v.ogg": written(tmp_path/"v.ogg", 2., format="OGG", subtype="VORBIS"), "o.opus": written(tmp_path/"o.opus", 2., format="OGG", subtype="OPUS"), "m.mp3": written(tmp_path/"m.mp3", 2.)}
    data["tagged.mp3"] = b"ID3\x04\0\0\0\0\0\x0a"+bytes(10)+data["m.mp3"]
    (p := tmp_path/("two"+a[-4:])).write_bytes(data[a]+data[b])
    clip, said = told(p)
    assert clip.file_s==pytest.approx(2, abs=.1) and len(said)==1 and "one behind the other; only the first 2.0 s are used" in said[0]
    for name, one in data.items():
        p.write_bytes(one+(b"TAG"+bytes(125) if "mp3" in name else b""))
        assert told(p)[1]==[], name


@pytest.mark.parametrize("kw", [{}, dict(subtype="FLOAT"), dict(subtype="PCM_24"), dict(subtype="PCM_U8")])
@pytest.mark.parametrize("size", [0, 2**32-1, 2**31-1, 2**32-37])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_from_a_pipe(tmp_path, kw, size, channels):
    sf.write(p := tmp_path/"a.wav", np.stack([voice(2.)]*channels, 1), SR, **kw)
    whole, data = load_audio(p), p.read_bytes()
    at = data.index(b"data")+4
    p.write_bytes(data[:4]+size.to_bytes(4, "little")+data[8:at]+size.to_bytes(4, "little")+data[at+4:])
    clip, said = told(p)
    assert said==[] and torch.equal(clip.wave, whole.wave) and audio_info(p).seconds==2


def test_empty_wavs_stay_empty(tmp_path):
    data = written(tmp_path/"a.wav")
    at = data.index(b"data")+4
    for behind in (b"", b"LIST\x04\0\0\0none", b"odd \x01\0\0\0x", b"odd \x01\0\0\0x\0"):
        (p := tmp_path/"e.wav").write_bytes(data[:at]+bytes(4)+behind)
        with pytest.raises(AudioError, match="only 0.000 s long"): load_audio(p)


@pytest.mark.parametrize("data, says", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer, not the sound. In its repository: git lfs pull."),
    (b"/annex/objects/SHA256E-s12--4d7a.wav\n", "a git-annex pointer, not the sound. In its repository: git annex get ."),
    (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "a web page, not the sound. Download the file itself."), (b"\xef\xbb\xbf\r\n <HTML>", "a web page"),
    (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page"),
])
@pytest.mark.parametrize("ending", ["wav", "mp3", "flac", "raw"])
def test_what_only_bears_the_name(tmp_path, data, says, ending):
    (p := tmp_path/f"a.{ending}").write_bytes(data)
    with pytest.raises(AudioError) as e: load_audio(p)
    assert str(e.value).startswith(f"{p}: {says}") and "ffmpeg" not in str(e.value)


def damaged_mp3s(folder):
    """An mp3 cut in half, one with a hole, one with rubbish in it, one that ends in rubbish."""
    data = written(folder/"whole.mp3", 20.)
    half, rubbish = len(data)//2, np.random.default_rng(0).integers(0, 256, 3000, dtype="uint8").tobytes()
    for name, some in dict(half=data[:half], hole=data[:half]+bytes(4000)+data[half+4000:], rubbish=data[:half]+rubbish+data[half+3000:], tail=data[:half]+rubbish).items():
        (folder/f"{name}.mp3").write_bytes(some)
        yield folder/f"{name}.mp3"


def test_damaged_mp3_is_one_warning_and_nothing_else(tmp_path, capfd):
    for p in damaged_mp3s(tmp_path):
        clip, said = told(p)
        assert len(said)==1 and said[0].startswith(f"{p}: damaged after ") and 9<len(clip.wave)/SR, said
        audio_info(p)
    assert capfd.readouterr()==("", "")


def test_nothing_of_others_is_lost_while_an_mp3_is_read(tmp_path, capfd):
    from concurrent.futures import ThreadPoolExecutor
    import os
    files, lines = list(damaged_mp3s(tmp_path))*6, [f"line {i}\n" for i in range(4000)]
    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(audio_info, o) for o in files*20]
        for o in lines: os.write(2, o.encode())
        for o in reading: o.result()
    said = capfd.readouterr().err.splitlines(keepends=True)
    assert sorted(o for o in said if o.startswith("line"))==sorted(lines)     # two threads promise no order


def test_stderr_that_is_closed(tmp_path):
    import shlex
    import subprocess
    import sys
    p = next(damaged_mp3s(tmp_path))
    code = f"from sere_nb.audio import load_audio; print(len(load_audio({str(p)!r}).wave)>0)"
    assert subprocess.run(f"{sys.executable} -c {shlex.quote(code)} 2>&-", shell=True, stdout=subprocess.PIPE, text=True).stdout=="True\n"


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


def voices(n=24): return [toy_voice(.1+.37*(i%9), 90+11*i, seed=i)*2**-(i%4) for i in range(n)]


def test_lame_itself_gives_the_bytes_of_soundfile():
    "Also in threads, and of sounds that are no voice"
    if not audio._lame(): pytest.skip("no LAME 3.100 in this system")
    sounds = [*voices(), torch.zeros(SR), torch.ones(1), torch.randn(SR), *(torch.full((o,), -1.) for o in (2, 575, 576, 577))]
    with ThreadPoolExecutor(4) as pool: made = list(pool.map(audio._mp3, sounds))
    assert made==[audio._by_soundfile(o.clamp(-1, 1).numpy()) for o in sounds]


def test_mp3_is_as_long_as_its_sound(monkeypatch):
    for o in voices(9):
        back, rate = sf.read(io.BytesIO(audio._mp3(o)))
        assert rate==SR and abs(len(back)-len(o))<=.05*SR


class Refuses:
    "A LAME in which one step fails"
    def __init__(self, step): self.step, self.closed = step, 0
    def lame_close(self, to): self.closed += 1
    def __getattr__(self, name): return lambda *args: -1 if name==self.step else 0


@pytest.mark.parametrize("step", ["lame_init_params", "lame_encode_buffer_ieee_float", "lame_encode_flush"])
def test_soundfile_codes_where_lame_refuses(step, monkeypatch):
    lame = Refuses(step)
    monkeypatch.setattr(audio, "_lame", lambda: lame)
    assert audio._mp3(toy_voice())==audio._by_soundfile(toy_voice().numpy()) and lame.closed==1


def test_only_a_lame_of_the_same_version_is_asked(monkeypatch):
    class Old:
        class Call:
            def __call__(self): return b"3.99.5"
        def __init__(self, name): self.get_lame_version, self.lame_init = self.Call(), self.Call()
    def gone(name): raise OSError(name)
    for way in (Old, gone, lambda name: object()):
        monkeypatch.setattr(audio.ctypes, "CDLL", way)
        assert audio._lame.__wrapped__() is None
    monkeypatch.setattr(audio, "_lame", lambda: None)
    assert audio._mp3(toy_voice())==audio._by_soundfile(toy_voice().numpy())


# ---- recordings in which speech is not where it is looked for ----

def beep(seconds, hz=1000): return .5*np.sin(2*np.pi*hz*np.arange(round(seconds*SR))/SR)


@pytest.mark.parametrize("name, parts, says", [
    ("silence", (np.zeros(45*SR), 5., 0), "Find the speech in it: sere segment"),
    ("beep", (np.concatenate([beep(.5), np.zeros(SR)]), 5., -50), "find it: sere segment"),
    ("beep behind", (np.zeros(0), 5., -50, np.concatenate([np.zeros(SR), beep(.5)])), "find it: sere segment"),
    ("talk", (np.zeros(0), 1200., 0), "utterances: sere segment"),
])
def test_check_points_to_segment(tmp_path, name, parts, says):
    from sere_nb.corpora import check_manifest
    before, seconds, db, *after = parts
    voice_ = np.tile(toy_voice(5.).numpy(), int(seconds//5))
    sf.write(tmp_path/"a.wav", np.concatenate([before, voice_*10**(db/20), *after]), SR)
    (tmp_path/"m.csv").write_text("path,language,speaker\na.wav,de,v\n")
    report = check_manifest(tmp_path/"m.csv")
    assert len(report) == 1 and says.casefold() in f"{report.problem[0]}. {report.advice[0]}".casefold()


@pytest.mark.parametrize("noise_db", [-90, -60, -45])
def test_a_short_word_in_a_quiet_room_is_no_beep(tmp_path, noise_db):
    noise = 10**(noise_db/20)*np.random.default_rng(0).standard_normal(6*SR)
    noise[3*SR:3*SR+SR//2] += toy_voice(.5).numpy()
    sf.write(tmp_path/"a.wav", noise, SR, subtype="FLOAT")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_audio(tmp_path/"a.wav")
