"""Recordings of phones and videos: read where there is a decoder, refused in one line where there is none, and never
the end of a run."""
import os
import sys

import numpy as np
import pytest
import soundfile as sf
from conftest import make_corpus

from sere_nb import media
from sere_nb.audio import AudioError, AudioWarning, audio_info, load_audio, stretch_name
from sere_nb.cli import main
from sere_nb.corpora import folder_manifest
from sere_nb.media import MediaError, converted, media_kind

KINDS = {  # name: (codec, rate, channels, format, with a picture?, kind)
    "phone.m4a": ("aac", 44100, 2, None, False, "mov"), "page.webm": ("libopus", 48000, 1, None, False, "matroska"),
    "old.amr": ("libopencore_amrnb", 8000, 1, None, False, "amr"),
    "old.3gp": ("libopencore_amrnb", 8000, 1, None, False, "mov"), "radio.aac": ("aac", 44100, 1, "adts", False, "aac"),
    "film.mp4": ("aac", 48000, 2, None, True, "mov"), "film.mkv": ("aac", 48000, 2, None, True, "matroska"),
    "film.mov": ("aac", 48000, 1, None, True, "mov"), "film.avi": ("libmp3lame", 44100, 1, None, True, "avi"),
}


def record(path, codec, rate, channels, fmt=None, picture=False, seconds=3):
    """Speech-like bursts of 220 Hz on the left, 440 Hz on the right."""
    av = pytest.importorskip("av")
    layout = {1: "mono", 2: "stereo"}[channels]
    t = np.arange(seconds*rate)/rate
    x = np.stack([.4*np.sin(2*np.pi*220*(c+1)*t)*(1+np.sin(2*np.pi*(c+.5)*t))/2 for c in range(channels)])
    with av.open(str(path), "w", format=fmt) as f:
        if picture:
            v = f.add_stream("mpeg4", rate=25)
            v.width = v.height = 64
            v.pix_fmt = "yuv420p"
        s = f.add_stream(codec, rate=rate, layout=layout)
        for i in range(25*seconds if picture else 0):
            f.mux(v.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), i, "uint8"))))
        if picture:
            f.mux(v.encode(None))
        frame = av.AudioFrame.from_ndarray((x.T.reshape(1, -1)*32767).astype("int16"), format="s16", layout=layout)
        frame.sample_rate = rate
        c = s.codec_context
        to = av.AudioResampler(format=c.format or "s16", layout=layout, rate=rate, frame_size=c.frame_size or None)
        for o in [*to.resample(frame), *to.resample(None)]:
            f.mux(s.encode(o))
        f.mux(s.encode(None))
    return path


@pytest.fixture(autouse=True)
def fresh():
    """No wav and no process of an earlier test."""
    def clear():
        media._converted.cache_clear()
        if media._worker:
            media._worker.close()
        media._worker = None
    clear()
    yield
    clear()


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    d = tmp_path_factory.mktemp("films")
    for name, (*how, _) in KINDS.items():
        record(d/name, *how)
    return d


@pytest.mark.parametrize("name", KINDS)
def test_kinds_are_told_read_and_cut(films, name):
    """By the first bytes, whatever the ending says; a stretch is that part of the whole."""
    path, kind = films/name, KINDS[name][-1]
    assert media_kind(path.read_bytes()[:16]) == kind
    info = audio_info(path)
    assert info.rate == 16000 and info.channels == KINDS[name][2] and abs(info.seconds-3) < .1
    whole = load_audio(path, None, trim=False, level=False).wave
    part = load_audio(stretch_name(str(path), 1., 2.), None, trim=False, level=False).wave
    assert len(part) == 16000 and abs(part-(whole[16000:32000]-whole[16000:32000].mean())).max() < .01


def test_channels_are_apart(films):
    def pitch(c):
        x = load_audio(stretch_name(str(films/"phone.m4a"), channel=c), trim=False).wave[:32000].numpy()
        return int(np.abs(np.fft.rfft(x)).argmax()/2)
    assert [pitch(1), pitch(2)] == [220, 440]
    with pytest.raises(AudioError, match="no such channel; the file has 2"):
        load_audio(stretch_name(str(films/"phone.m4a"), channel=3))


@pytest.mark.filterwarnings("ignore::sere_nb.audio.AudioWarning")
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("how", ["half", "hole", "head", "noise"])
def test_damaged(films, tmp_path, name, how):
    """A part is read, with a word, or one line says why not."""
    data = (films/name).read_bytes()
    n, noise = len(data), np.random.default_rng(0).bytes(len(data))
    path = tmp_path/name
    path.write_bytes(dict(half=data[:n//2], head=data[:60], noise=data[:60]+noise,
                          hole=data[:n//2]+noise[:n//8]+data[n//2+n//8:])[how])
    if how == "half" and KINDS[name][-1] in ("matroska", "amr", "aac"):
        with pytest.warns(AudioWarning, match="cut short|damaged"):
            assert 1 < len(load_audio(path).wave)/16000 < 2
        return
    try:
        load_audio(path)
    except AudioError as e:
        assert str(path) in str(e) and "\n" not in str(e)


def test_no_sound_in_it(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path/"mute.mp4"), "w") as f:
        v = f.add_stream("mpeg4", rate=25)
        v.width = v.height = 64
        f.mux(v.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), "uint8"))))
        f.mux(v.encode(None))
    with pytest.raises(AudioError, match="there is no sound in it"):
        load_audio(tmp_path/"mute.mp4")


def test_no_decoder_names_both_ways_out(tmp_path, monkeypatch):
    monkeypatch.setattr(media, "_with", lambda: "")
    (tmp_path/"a.m4a").write_bytes(b"\0\0\0\x20ftypM4A "+bytes(100))
    with pytest.raises(AudioError) as e:
        load_audio(tmp_path/"a.m4a")
    assert "pip install 'sere_nb[media]'" in str(e.value) and "the program ffmpeg" in str(e.value)


def test_a_playlist_is_no_recording(tmp_path):
    """What begins as text is never given to a decoder, which might follow what it says."""
    (tmp_path/"a.m4a").write_text("#EXTM3U\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(AudioError, match="not a sound file"):
        load_audio(tmp_path/"a.m4a")
    assert media._worker is None


FAKES = dict(
    crash=("import os,sys; sys.stdin.readline(); os.abort()", "the decoder broke off"),
    leave=("raise SystemExit", "the decoder broke off"),
    babble=("import sys; sys.stdin.readline(); print('hello', flush=True); sys.stdin.read()", "the decoder broke off"),
    hang=("import time; time.sleep(60)", "was not decoded within"),
    busy=("import sys,subprocess; sys.stdin.readline(); subprocess.run([sys.executable, '-c', 'while 1: pass'])",
          "was not decoded within"),
    memory=("from sere_nb import media as m; m._with = lambda: 'x'; m._by_ffmpeg = lambda *a: bytearray(2**40); m._serve()",
            "too much memory"),
    disk=("from sere_nb import media as m; m._DISK = 2**20; m._with = lambda: 'x'\n"
          "m._by_ffmpeg = lambda p, out, k: open(out, 'wb').write(bytes(2**22)) and {}; m._serve()", "File too large"),
)


@pytest.mark.parametrize("fake", FAKES)
def test_a_decoder_fails_alone(tmp_path, monkeypatch, fake):
    """One line for that file; the next one gets a new process."""
    if os.name == "nt" and fake in ("memory", "disk"):
        pytest.skip("no such limits here")
    program, says = FAKES[fake]
    monkeypatch.setattr(media, "can_decode", lambda: True)
    monkeypatch.setattr(media, "_LEAST_S", .5 if "within" in says else 60)
    monkeypatch.setattr(media, "_COMMAND", [sys.executable, "-c", program])
    (tmp_path/"a.m4a").write_bytes(b"\0\0\0\x20ftypM4A "+bytes(100))
    for _ in range(2):
        with pytest.raises(MediaError, match=says) as e:
            converted(tmp_path/"a.m4a")
        assert "\n" not in str(e.value)


FFMPEG = """#!{python}
import sys, wave
args = sys.argv[1:]
assert args[args.index('-i')+1].startswith('file:/') and args[args.index('-protocol_whitelist')+1] == 'file'
if b'mute' in open(args[args.index('-i')+1][5:], 'rb').read(): sys.exit("Stream map '0:a:0' matches no streams.\\nTo ignore this, add a trailing '?' to the map.")
if b'broken' in open(args[args.index('-i')+1][5:], 'rb').read(): sys.exit('moov atom not found')
with wave.open(args[-1], 'wb') as w:
    w.setparams((2, 2, 16000, 0, 'NONE', None))
    w.writeframes(bytes(4*16000))
if b'hole' in open(args[args.index('-i')+1][5:], 'rb').read(): print('invalid packet', file=sys.stderr)
"""


@pytest.mark.skipif(os.name == "nt", reason="a script is no program there")
def test_the_program_ffmpeg_serves_where_there_is_no_pyav(tmp_path, monkeypatch):
    (tmp_path/"bin").mkdir()
    (tmp_path/"bin"/"ffmpeg").write_text(FFMPEG.format(python=sys.executable))
    (tmp_path/"bin"/"ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path/"bin"), prepend=os.pathsep)
    monkeypatch.setattr(media.importlib.util, "find_spec", lambda name: None)
    assert media._with() == "ffmpeg" and media.can_decode()
    monkeypatch.setattr(media, "_COMMAND", [sys.executable, "-c",
        "from sere_nb import media as m; m._with = lambda: 'ffmpeg'; m._serve()"])
    for name, what in dict(a=b"", b=b"hole", c=b"broken", d=b"mute").items():
        (tmp_path/f"{name}.m4a").write_bytes(b"\0\0\0\x20ftypM4A "+what)
    made = converted(tmp_path/"a.m4a", "mov")
    assert sf.info(made.path).channels == 2 and sf.info(made.path).duration == 1 and not made.note
    assert "parts of it are damaged; the 1.0 s that are left are used" in converted(tmp_path/"b.m4a", "mov").note
    with pytest.raises(MediaError, match="moov atom not found"):
        converted(tmp_path/"c.m4a", "mov")
    with pytest.raises(MediaError, match="there is no sound in it"):
        converted(tmp_path/"d.m4a", "mov")


@pytest.mark.skipif(os.name == "nt", reason="a script is no program there")
@pytest.mark.parametrize("program", (True, False))
def test_a_pyav_that_cannot_be_loaded(tmp_path, monkeypatch, program):
    """Such as one whose libraries are missing: the program serves, and without it the reason is told."""
    (tmp_path/"bin").mkdir()
    (tmp_path/"av.py").write_text("raise ImportError('libavcodec.so.62: cannot open shared object file')\n")
    if program:
        (tmp_path/"bin"/"ffmpeg").write_text(FFMPEG.format(python=sys.executable))
        (tmp_path/"bin"/"ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path/"bin"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path/"a.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    if program: assert sf.info(converted(tmp_path/"a.m4a", "mov").path).duration == 1
    else:
        with pytest.raises(MediaError, match="libavcodec.so.62"): converted(tmp_path/"a.m4a", "mov")


def test_one_process_for_many_files_and_no_wav_left(films, tmp_path, monkeypatch):
    monkeypatch.setattr(media.tempfile, "tempdir", str(tmp_path))
    first = converted(films/"old.amr")
    process = media._worker.process.pid
    (tmp_path/"bad.m4a").write_bytes(b"\0\0\0\x20ftypM4A "+bytes(100))
    with pytest.raises(MediaError):
        converted(tmp_path/"bad.m4a")
    converted(films/"radio.aac")
    assert media._worker.process.pid == process
    media._converted.cache_clear()
    assert [o.name for o in tmp_path.glob("sere-*")] == [os.path.basename(os.path.dirname(first.path))]
    del first
    assert not list(tmp_path.glob("sere-*"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_has_a_process_of_its_own(films):
    path = converted(films/"old.amr").path
    if not (child := os.fork()):
        try:
            fine = converted(films/"radio.aac").path and os.path.exists(path)
            media._converted.cache_clear()
            media._worker.close()
        finally:
            os._exit(0 if fine and os.path.exists(path) else 1)
    assert os.waitpid(child, 0)[1] == 0 and sf.info(path).frames


@pytest.mark.filterwarnings("ignore::sere_nb.corpora.ManifestWarning")
def test_folder_and_check(films, tmp_path, capsys):
    assert len(folder_manifest(films, "hu")) == len(KINDS)-4     # of one name, one: old.amr, a film
    assert main(["manifest", str(films), "--language", "hu", "-o", str(tmp_path/"m.csv")]) == 0
    assert main(["check", str(tmp_path/"m.csv"), "-q"]) == 0
    assert "no error" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::sere_nb.corpora.ManifestWarning")
def test_phones_of_old_from_list_to_answer(films, tmp_path, capsys):
    """check, embed, predict of amr, of 3gp with amr and with aac; half a file is used and said, its head alone is named."""
    (tmp_path/"rec").mkdir()
    for name in ("old.amr", "old.3gp"): (tmp_path/"rec"/name).write_bytes((films/name).read_bytes())
    record(tmp_path/"rec"/"new.3gp", "aac", 16000, 1)
    amr = (films/"old.amr").read_bytes()
    (tmp_path/"rec"/"half.amr").write_bytes(amr[:len(amr)//2])
    rows = [f"rec/{o},hu\n" for o in ("old.amr", "old.3gp", "new.3gp", "half.amr")]
    (tmp_path/"m.csv").write_text("path,language\n"+"".join(rows))
    source = make_corpus(tmp_path, clips=3, language="aa", name="source.csv")
    cached = ["--cache", str(tmp_path/"cache"), "-q"]
    assert main(["run", "--map", "pca", "--no-audio", "--source", str(source), "--target", str(tmp_path/"m.csv"), "--shots", "3", "--out", str(tmp_path/"run"), *cached]) == 0
    assert main(["check", str(tmp_path/"m.csv"), "-q"]) == 0
    assert "half.amr: parts of it are damaged; the 1." in (said := capsys.readouterr()).out+said.err
    assert main(["embed", "--manifest", str(tmp_path/"m.csv"), "--encoder", "acoustic", *cached]) == 0
    assert main(["predict", "--model", str(tmp_path/"run"/"model"), "--manifest", str(tmp_path/"m.csv"), "-o", str(tmp_path/"p.csv"), *cached]) == 0
    assert len((tmp_path/"p.csv").read_text().splitlines()) == 5
    (tmp_path/"rec"/"head.amr").write_bytes(amr[:6])
    (tmp_path/"n.csv").write_text("path,language\n"+"".join(rows)+"rec/head.amr,hu\n")
    assert main(["check", str(tmp_path/"n.csv"), "-q"]) == 2
    assert "rec/head.amr: cannot be decoded (" in capsys.readouterr().out
    assert main(["predict", "--model", str(tmp_path/"run"/"model"), "--manifest", str(tmp_path/"n.csv"), "-o", str(tmp_path/"p.csv"), *cached]) == 0
    assert "head.amr" in (tmp_path/"p.skipped.csv").read_text()


def test_a_wav_that_libsndfile_cannot_read(tmp_path):
    """It begins as a file that is read without a decoder, but its samples are packed in a rarer way."""
    record(tmp_path/"a.wav", "adpcm_yamaha", 44100, 1)
    with pytest.raises(RuntimeError):
        sf.info(tmp_path/"a.wav")
    assert abs(len(load_audio(tmp_path/"a.wav", trim=False).wave)/16000-3) < .1
