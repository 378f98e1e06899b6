"""Sound files and manifests as people really have them: broken, odd, and oddly named."""
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")       # to the last bit, results are the processor's; `make gpu` shows the GPU

import numpy as np
import pytest
import soundfile as sf

from sere_nb.audio import SR, _ratio, toy_voice

# Unusable files and what their one line must say.
BAD = {
    "missing.wav": "no such file",
    "folder.wav": "not a file",
    "empty.wav": "empty",
    "text.wav": "not a sound file",
    "text.mp3": "not a sound file",
    "noise.raw": "not a sound file",
    "header only.wav": "at least 0.1 s",
    "stub.flac": "damaged",
    "stub.ogg": "may be cut short",
    "nan.wav": "NaN",
    "inf.wav": "infinite",
    "zeros.wav": "silence",
    "offset only.wav": "silence",
    "short.wav": "0.050 s",
}

# Unusual but usable.
FINE = [
    "plain.wav", "8bit.wav", "24bit.flac", "float.wav", "double.wav", "five.wav", "96k.wav", "8k.wav", "24414.wav",
    "upside down.wav", "opus.ogg", "vorbis.ogg", "mp3.mp3", "UPPER.WAV", "with space.wav", "it's \"quoted\".wav",
    "😀 emoji.wav", "سلام دنیا.wav", "per%cent #hash&amp;.wav", "-dash.wav", "broken.flac",
]


def voice(seconds=1.0, rate=SR, **kw):
    """The toy voice as an array at any rate."""
    from torchaudio.functional import resample
    new, old = _ratio(rate)
    return resample(toy_voice(seconds, **kw), old, new).numpy()


@pytest.fixture(scope="session")
def odd(tmp_path_factory):
    """Folder that holds every file of `BAD` and `FINE` (but the missing one)."""
    d = tmp_path_factory.mktemp("odd files")
    v = voice()
    # -- unusable
    (d/"folder.wav").mkdir()
    (d/"empty.wav").touch()
    (d/"text.wav").write_text("these are words\n"*50)
    (d/"text.mp3").write_text("these are words\n"*50)
    (d/"noise.raw").write_bytes(bytes(range(256))*100)
    sf.write(d/"header only.wav", v[:0], SR)
    sf.write(d/"whole.flac", v, SR)
    whole = (d/"whole.flac").read_bytes()
    (d/"stub.flac").write_bytes(whole[:120])
    sf.write(d/"stub.ogg", v, SR, format="OGG", subtype="VORBIS")
    (d/"stub.ogg").write_bytes((d/"stub.ogg").read_bytes()[:1000])
    for name, bad in (("nan", np.nan), ("inf", np.inf)):
        w = v.copy()
        w[500] = bad
        sf.write(d/f"{name}.wav", w, SR, subtype="FLOAT")
    sf.write(d/"zeros.wav", 0*v, SR)
    sf.write(d/"offset only.wav", 0*v+.3, SR, subtype="FLOAT")
    sf.write(d/"short.wav", voice(.05), SR)
    # -- usable
    for name in FINE:
        if name.endswith(".wav") and not (d/name).exists(): sf.write(d/name, v, SR)
    sf.write(d/"UPPER.WAV", v, SR, format="WAV")
    sf.write(d/"8bit.wav", v, SR, subtype="PCM_U8")
    sf.write(d/"24bit.flac", v, SR, subtype="PCM_24")
    sf.write(d/"float.wav", v, SR, subtype="FLOAT")
    sf.write(d/"double.wav", v, SR, subtype="DOUBLE")
    sf.write(d/"five.wav", np.stack([v, 0*v, 0*v, 0*v, 0*v], 1), SR)
    for rate in (96000, 8000, 24414):
        sf.write(d/{96000: "96k.wav", 8000: "8k.wav", 24414: "24414.wav"}[rate], voice(rate=rate), rate)
    sf.write(d/"upside down.wav", np.stack([v, -v], 1), SR)
    sf.write(d/"opus.ogg", v, SR, format="OGG", subtype="OPUS")
    sf.write(d/"vorbis.ogg", v, SR, format="OGG", subtype="VORBIS")
    sf.write(d/"mp3.mp3", v, SR)
    (d/"broken.flac").write_bytes(whole[:int(.7*len(whole))])
    return d


@pytest.fixture(scope="session")
def two_hours(tmp_path_factory):
    """A flac of two hours: three seconds of silence, ten of sound, silence for the rest. Half a megabyte, made in half a second."""
    p = tmp_path_factory.mktemp("long")/"two hours.flac"
    v = voice(10., 8000)
    with sf.SoundFile(p, "w", 8000, 1, subtype="PCM_S8") as f:
        f.write(np.zeros(3*8000))
        f.write(v)
        f.write(np.zeros(47*8000))
        for _ in range(119): f.write(np.zeros(60*8000, "int16"))
    return p


def make_corpus(folder, emotions=("anger", "fear"), clips=3, speakers=("Ann", "Bob"), language="xx", name="m.csv", f0=100):
    """A little corpus with its manifest, of which the path is given back. Another `f0` makes other clips."""
    lines = ["path,language,speaker,emotion"]
    for i, e in enumerate(emotions):
        for s, who in enumerate(speakers):
            for k in range(clips):
                p = folder/language/f"{who}_{e}_{k}.wav"
                p.parent.mkdir(exist_ok=True)
                sf.write(p, voice(.4, f0=f0+30*i+15*s+k), SR)
                lines.append(f"{language}/{p.name},{language},{who},{e}")
    (folder/name).write_text("\n".join(lines)+"\n", encoding="utf-8")
    return folder/name


@pytest.fixture
def corpus(tmp_path):
    """Maker of a little corpus: `corpus(emotions, clips, speakers)` gives the path of its manifest."""
    return lambda *args, **kw: make_corpus(tmp_path, *args, **kw)


def stub_voices(monkeypatch):
    """A speaker encoder in place of CAM++ that needs no weights: it takes each clip for one of two people, by its bytes."""
    import torch
    from zlib import crc32

    from sere_nb import voices
    from sere_nb.encoder import Encoder

    class StubVoices(Encoder):
        name, views, _own = "stub", dict(voice=0.), dict(part="stub")
        def __init__(self, *a, **k): pass
        def _encode(self, waves): return [dict(voice=torch.eye(2, 8)[crc32(w.numpy().tobytes())%2][None].half()) for w in waves]

    monkeypatch.setattr(voices, "VoiceEncoder", StubVoices)
    return StubVoices


def everywhere(monkeypatch, name, value):
    """Put `value` in the place of what is called `name`, in each module of the bench that knows it."""
    from importlib import import_module
    modules = [import_module(f"sere_nb.{o}") for o in ("scores", "blind", "shared", "baselines", "transductive", "adaptation", "rivals", "tables", "protocols", "tasks", "results", "bench", "evaluate")]
    known = [m for m in modules if hasattr(m, name)]
    assert known, name
    for m in known: monkeypatch.setattr(m, name, value)


@pytest.fixture(autouse=True)
def threads():
    """No call leaves torch with other threads than before: sums are taken in another order then, and the same fit
    ends in other digits"""
    import torch
    before = torch.get_num_threads()
    yield
    now = torch.get_num_threads()
    torch.set_num_threads(before)
    assert now == before, f"torch had {before} threads before and has {now} now"
