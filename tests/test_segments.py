"""Parts of recordings, from the manifest to what is said of them; speech found in long ones."""
import contextlib
import io
import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch
from hypothesis import given, settings, strategies as st

from sere_nb.audio import SR, AudioError, AudioWarning, Stretch, load_audio, stretch, stretch_name, take_turns, toy_voice
from sere_nb.cli import main
from sere_nb.corpora import (ManifestError, ManifestWarning, check_manifest, join_stretches, read_manifest, split_stretches, write_manifest)
from sere_nb.encoder import ContentIndex, embed


@pytest.fixture(scope="module")
def talk():
    """Four voices, three seconds each."""
    return torch.cat([toy_voice(3., f0=100+25*i, seed=i) for i in range(4)])


def sere(*words):
    """(exit status, stdout, stderr) of a command."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main([str(o) for o in words])
    return status, out.getvalue(), err.getvalue()


# ---- names ----

FORMS = [("a.wav", "WAV", "PCM_16"), ("a.flac", "FLAC", "PCM_24"), ("v.ogg", "OGG", "VORBIS"), ("o.opus", "OGG", "OPUS"), ("a.mp3", "MP3", None), ("a.aiff", "AIFF", "PCM_16"), ("f.wav", "WAV", "FLOAT")]


@given(st.text(min_size=1), st.floats(0, 1e8), st.none() | st.floats(0, 1e8), st.none() | st.integers(1, 64))
def test_a_name_says_what_it_was_made_of(file, start, end, channel):
    name = stretch_name(file, start, end, channel)
    told = stretch(name)
    if told.file!=file: assert stretch(file).file!=file or any(stretch(file)[1:]) or told==Stretch(name)   # the file's own name is one of a part
    else: assert abs(told.start_s-start)<1e-6 and told.channel==channel and (told.end_s is None)==(end is None)


@pytest.mark.parametrize("name, form, kind", FORMS)
@pytest.mark.parametrize("rate", [8000, 48000])
def test_a_stretch_is_what_the_whole_has_there(tmp_path, talk, name, form, kind, rate):
    """Sample by sample, in every format and at every rate, wherever it lies."""
    from sere_nb.audio import _resample, _ratio
    x = _resample(talk, *reversed(_ratio(rate)))
    p = tmp_path/name
    sf.write(p, x.numpy(), rate, format=form, subtype=kind)
    whole = load_audio(p, None, trim=False, level=False).wave
    for a, b in ((0, 2), (4.3, 7.125), (10.5, 11.999), (11, None)):
        part = load_audio(stretch_name(str(p), a, b), None, trim=False, level=False)
        there = whole[round(a*SR):][:len(part.wave)]
        assert abs(len(part.wave)-((b or 12)-a)*SR)<SR*.1 and part.start_s==a and abs(part.file_s-12)<.1
        inner = slice(200, -200)     # at its edges a filter lacks what is beyond them
        assert torch.allclose(part.wave[inner], (there-there.mean())[inner], atol=2e-3)


def test_only_the_stretch_is_decoded(tmp_path, talk, monkeypatch):
    p = tmp_path/"a.wav"
    sf.write(p, talk.repeat(20).numpy(), SR)
    read, real = [], sf.SoundFile.read
    monkeypatch.setattr(sf.SoundFile, "read", lambda self, n=-1, *a, **k: (read.append(n), real(self, n, *a, **k))[1])
    load_audio(f"{p}#t=200,203")
    assert sum(read)==3*SR


@pytest.mark.parametrize("part, says", [("t=5,5", "ends before it begins"), ("t=7,3", "ends before it begins"), ("t=12,13", "outside of its file; the recording has 12.0 s"),
    ("t=5000,8000", "outside of its file"), ("t=5,5.01", "at least 0.1 s"), ("channel=2", "there is no such channel; the file has 1"), ("channel=0", "no such channel"),
    ("t=1e9", "no such file"), ("t="+"9"*400, "outside of its file")])
def test_no_such_part_is_one_line(tmp_path, talk, part, says):
    p = tmp_path/"a.wav"
    sf.write(p, talk.numpy(), SR)
    with pytest.raises(AudioError) as e: load_audio(f"{p}#{part}")
    assert says in str(e.value) and str(e.value).startswith(f"{p}#{part}: ") and "\n" not in str(e.value)


def test_a_stretch_that_is_partly_there_is_used_and_said(tmp_path, talk):
    p = tmp_path/"a.wav"
    sf.write(p, talk.numpy(), SR)
    with pytest.warns(AudioWarning, match="ends outside of its file; the recording has 12.0 s"): load_audio(f"{p}#t=10,15")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_audio(f"{p}#t=10,12.3")     # lists are rounded, headers are off by a frame


def test_damage_behind_a_stretch_does_not_matter(tmp_path, talk):
    sf.write(tmp_path/"a.flac", talk.numpy(), SR)
    data = (tmp_path/"a.flac").read_bytes()
    (tmp_path/"a.flac").write_bytes(data[:int(.8*len(data))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        part = load_audio(f"{tmp_path/'a.flac'}#t=3.2,5.8", trim=False, level=False).wave
    assert torch.allclose(part, talk[int(3.2*SR):int(5.8*SR)]-talk[int(3.2*SR):int(5.8*SR)].mean(), atol=1e-3)
    with pytest.raises(AudioError): load_audio(f"{tmp_path/'a.flac'}#t=11,12")


def test_a_file_that_bears_such_a_name(tmp_path, talk):
    p = tmp_path/"a.wav#t=1,2"
    sf.write(p, talk.numpy(), SR, format="WAV")
    assert load_audio(p, trim=False).file_s==12 and len(load_audio(p, trim=False).wave)==12*SR


def test_each_channel_for_itself(tmp_path, talk):
    both = torch.stack([talk, talk.flip(0), torch.zeros(len(talk))], 1)
    p = tmp_path/"call.wav"
    sf.write(p, both.numpy(), SR)
    for c in (0, 1): assert torch.allclose(load_audio(f"{p}#t=1,4&channel={c+1}", trim=False, level=False).wave,
        both[SR:4*SR, c]-both[SR:4*SR, c].mean(), atol=1e-3)
    with pytest.raises(AudioError, match="silence"): load_audio(f"{p}#channel=3")


def call(talk, rate=SR, below=20., side=0):
    """A recording in whose channels one voice speaks after the other; each is heard in the other's, so many dB below."""
    turns = (np.arange(len(talk))//(3*SR))%2==side
    a, b = talk.numpy()*turns, talk.numpy()*~turns
    noise = 1e-4*np.random.default_rng(0).standard_normal((len(talk), 2))
    both = np.stack([a+b*10**(-below/20), b+a*10**(-below/20)], 1)+noise
    return both[::SR//rate]


NO_CALL = {
    "one channel": lambda v: v[:, 0], "the same in both": lambda v: np.stack([v.sum(1)]*2, 1), "upside down": lambda v: np.stack([v.sum(1), -v.sum(1)], 1),
    "one is dead": lambda v: np.stack([v.sum(1), 0*v[:, 0]], 1), "two seats at one microphone": None, "one says hardly a word": None,
    "three channels": lambda v: np.concatenate([v, v[:, :1]], 1), "short": lambda v: v[2*SR:2*SR+SR//2]}


@pytest.mark.parametrize("rate, subtype", [(8000, "PCM_16"), (16000, "FLOAT"), (16000, "PCM_16"), (8000, "PCM_U8")])
@pytest.mark.parametrize("below", [16., 80.])
def test_a_speaker_in_each_channel_is_said(tmp_path, talk, rate, subtype, below):
    p = tmp_path/"call.wav"
    sf.write(p, call(talk, rate, below), rate, subtype=subtype)
    assert take_turns(p)
    with pytest.warns(AudioWarning, match="call.wav: two channels that speak in turn.*column channel.*sere segment --channels"): load_audio(p)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_audio(f"{p}#channel=1")
        load_audio(p, trim=False)       # as a recording is listened to


@pytest.mark.parametrize("name", NO_CALL)
def test_other_channels_are_mixed_without_a_word(tmp_path, talk, name):
    p = tmp_path/"a.wav"
    if name.startswith("two"): v = call(talk, below=8.)
    elif name.startswith("one says"):
        v = call(talk)
        v[:int(10.6*SR), 1] = 0
    else: v = NO_CALL[name](call(talk))
    sf.write(p, v, SR)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_audio(p)
    assert not take_turns(p) and not take_turns(tmp_path/"none.wav")


def test_check_and_segment_say_that_calls_are_mixed(tmp_path, talk):
    pytest.importorskip("silero_vad")
    (tmp_path/"calls").mkdir()
    for i in (0, 1): sf.write(tmp_path/f"calls/{i}.wav", call(talk, side=i), SR)
    sf.write(tmp_path/"calls/one.wav", talk.numpy(), SR)
    assert sere("manifest", tmp_path/"calls", "--language", "de", "-o", tmp_path/"m.csv")[0]==0
    assert sere("check", tmp_path/"m.csv", "-q")[1].count("speak in turn")==2
    for more, said in (((), 1), (("--channels",), 0)):
        status, _, err = sere("segment", tmp_path/"calls", "--language", "de", "-o", tmp_path/f"s{said}.csv", "-q", "--cache", tmp_path/"c", *more)
        assert status==0 and err.count("2 of 3 recordings have two channels that speak in turn")==err.count("\n")==said, err


# ---- manifests ----

def listed(path, columns, *rows):
    path.write_text("\n".join([columns, *rows])+"\n", encoding="utf-8")
    return path


def read(path, **kw):
    """(table, what was said)."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        return read_manifest(path, **kw), [str(o.message) for o in said]


@pytest.mark.parametrize("columns, cells", [
    ("start_s,end_s", "1.5,4"), ("start,end", "1.5,4"), ("Start,End", "0:01.5,0:04"), ("onset,offset", "1.5,4.0"), ("begin,end", "00:00:01.500,4"), ("tmin,tmax", "1.5,4"), ("xmin,xmax", "1.5,4"), ("start_ms,end_ms", "1500,4000"),
    ("onset,duration", "1.5,2.5"), ("start,duration", "1.5,2.5"), ("start,end", "0 days 00:00:01.500000,0 days 00:00:04"), ("start,end", '"1,5","4,0"'), ("start,end", "1.5 s,4 s"), ("end,start", "4,1.5")])
def test_pairs_of_columns_that_mean_a_stretch(tmp_path, columns, cells):
    t, said = read(listed(tmp_path/"m.csv", f"path,language,{columns},note", f"a.wav,de,{cells},x", "b.wav,de,,,y"))
    assert list(t.path)==["a.wav#t=1.5,4", "b.wav"] and t.file[0]==f"{tmp_path}/a.wav#t=1.5,4"
    assert list(t)==["path", "file", "language", "speaker", "emotion", "corpus", "note"]
    assert len(said)==(columns!="start_s,end_s") and all("are read as the stretch of the file" in o for o in said)


def test_many_rows_of_few_files(tmp_path):
    """Six files, ten rows each: sixty clips, each under its own label."""
    rows = [f"f{f}.wav,de,{i},{i+1},{'anger' if i%2 else 'fear'}" for f in range(6) for i in range(10)]
    t, said = read(listed(tmp_path/"m.csv", "path,language,start,end,emotion", *rows))
    assert len(t)==60 and t.path.nunique()==60 and set(t.emotion.value_counts())=={30} and len(said)==1


def test_twice_is_path_and_stretch(tmp_path):
    p = listed(tmp_path/"m.csv", "path,language,start_s,end_s,emotion", "a.wav,de,1,2,anger", "a.wav,de,2,3,anger", "./a.wav,de,1.0,2.00,fear", "a.wav,de,,,anger")
    t, said = read(p)
    assert list(t.path)==["a.wav#t=1,2", "a.wav#t=2,3", "a.wav"]
    assert "1 × path twice" in said[0]
    report = check_manifest(p)
    assert (report.problem.str.contains("path twice")).sum()==1 and "there 'anger', here 'fear'" in " ".join(report.problem)


def test_a_path_twice_without_stretches_says_how_to_name_them(tmp_path):
    report = check_manifest(listed(tmp_path/"m.csv", "path,language", "a.wav,de", "a.wav,de"))
    assert "columns start_s and end_s" in " ".join(report.advice)


@pytest.mark.parametrize("cells, says", [("5,4", "ends before it begins"), ("4,4", "ends before it begins"), ("soon,4", "no time in seconds"), ("-1,4", "no time in seconds"), ("1,inf", "no time in seconds"), (",0", "ends before it begins")])
def test_a_stretch_that_cannot_be_is_one_line(tmp_path, cells, says):
    p = listed(tmp_path/"m.csv", "path,language,start_s,end_s", "a.wav,de,1,2", f"a.wav,de,{cells}")
    t, said = read(p)
    assert list(t.path)==["a.wav#t=1,2"] and says in said[0] and len(said)==1
    row = check_manifest(p).query("line==3").iloc[0]
    assert row.level=="error" and says in row.problem and row.advice


def test_columns_that_only_look_so(tmp_path):
    t, said = read(listed(tmp_path/"m.csv", "path,language,start,end,channel", "a.wav,de,hello,goodbye,phone", "b.wav,de,so,then,"))
    assert list(t.path)==["a.wav", "b.wav"] and list(t.start)==["hello", "so"] and list(t.channel)==["phone", ""]
    assert sum("hold no times and are not used" in o for o in said)==1 and sum("'phone' is no channel" in o for o in said)==1
    t, said = read(listed(tmp_path/"n.csv", "path,language,StartTime,EndTime", "a.wav,de,1,2"))
    assert list(t.path)==["a.wav"] and any("did you mean start_s" in o for o in said)
    t, said = read(tmp_path/"n.csv", columns=dict(start_s="StartTime", end_s="EndTime"))
    assert list(t.path)==["a.wav#t=1,2"] and said==[]


def test_channels_in_a_manifest(tmp_path):
    t, said = read(listed(tmp_path/"m.csv", "path,language,channel,start_s,end_s", "c.wav,de,1,,", "c.wav,de,right,,", "c.wav,de,left,1,2", "c.wav,de,,,"))
    assert list(t.path)==["c.wav#channel=1", "c.wav#channel=2", "c.wav#t=1,2&channel=1", "c.wav"] and said==[] and "channel" not in t


def test_written_and_read_again(tmp_path):
    t = read(listed(tmp_path/"m.csv", "path,language,start_s,end_s,channel,note", "a.wav,de,1.25,2,,x", "é b.wav,de,0,,2,y", "c.wav,de,,,,z"))[0]
    again, said = read(write_manifest(t, tmp_path/"sub"/"n.csv"))
    assert said==[] and again.file.tolist()==t.file.tolist() and again.note.tolist()==t.note.tolist()
    assert pd.read_csv(tmp_path/"sub"/"n.csv", dtype=str, keep_default_na=False)[["start_s", "end_s", "channel"]].values.tolist()==[["1.25", "2", ""], ["0", "", "2"], ["0", "", ""]]
    pd.testing.assert_frame_equal(join_stretches(split_stretches(t[["path"]])), t[["path"]])


def test_check_names_the_row_of_a_stretch(tmp_path, talk):
    sf.write(tmp_path/"a.wav", talk.numpy(), SR)
    p = listed(tmp_path/"m.csv", "path,language,start_s,end_s", "a.wav,de,0,3", "a.wav,de,3,6", "a.wav,de,60,70", "b.wav,de,0,3")
    report = check_manifest(p)
    assert report[report.level=="error"][["line", "path"]].values.tolist()==[[4, "a.wav#t=60,70"], [5, "b.wav#t=0,3"]]
    assert not report.problem.str.contains("same sound").any()


# ---- cache ----

def test_the_cache_tells_stretches_apart_and_hashes_once(tmp_path, talk, monkeypatch):
    from sere_nb import cache
    p = tmp_path/"a.wav"
    sf.write(p, talk.numpy(), SR)
    hashed, real = [], cache._hash
    monkeypatch.setattr(cache, "_hash", lambda *a: (hashed.append(a), real(*a))[1])
    names = [str(p), *(f"{p}#t={i},{i+2}" for i in range(10)), f"{p}#channel=1"]
    index = ContentIndex(tmp_path/"index")
    keys = [index.key(o) for o in names]
    assert len(set(keys))==12 and all(len(o)==64 for o in keys) and len(hashed)==1
    index.remember(names)
    assert [ContentIndex(tmp_path/"index").key(o) for o in names]==keys and len(hashed)==1
    p.unlink()
    assert [ContentIndex(tmp_path/"index").key(o) for o in names]==keys     # read when the audio itself is gone


def test_all_of_a_very_large_file_counts_for_its_stretches(tmp_path, monkeypatch):
    from sere_nb import cache
    monkeypatch.setattr(cache, "_HASHED", 2**20)
    p, data = tmp_path/"a.wav", bytes(3*2**20)
    keys = []
    for end in (b"a", b"b"):
        p.write_bytes(data+end)
        index = ContentIndex(tmp_path/"index")
        keys.append((index.key(p), index.key(f"{p}#t=1,2")))
        index.remember([p, f"{p}#t=1,2"])
        assert (ContentIndex(tmp_path/"index").key(p), ContentIndex(tmp_path/"index").key(f"{p}#t=1,2"))==keys[-1]
    assert keys[0][0]==keys[1][0] and keys[0][1]!=keys[1][1]


def test_columns_of_a_table_made_by_hand(tmp_path, talk):
    sf.write(tmp_path/"a.wav", talk.numpy(), SR)
    t = pd.DataFrame(dict(path=str(tmp_path/"a.wav"), start_s=[0, 3, 60], end_s=[3, 6, 61], language="de"))
    with pytest.warns(AudioWarning, match="outside of its file"): emb = embed(t, "acoustic", progress=False)
    assert len(emb)==2 and (emb.table.start_s.between([0, 3], [.5, 3.5])).all() and len(emb.skipped)==1
    again = embed(emb.table, "acoustic", progress=False)       # `start_s` of the result is where the clip begins, not a stretch
    assert again.table.key.tolist()==emb.table.key.tolist()


# ---- the command line ----

@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """The sample clips of two languages, each put into one recording, with its manifest."""
    from sere_nb.corpora import data_samples
    d = tmp_path_factory.mktemp("joined")
    for language in ("de", "it"):
        t, waves, rows, at = read_manifest(data_samples()/f"{language}.csv"), [], [], 0
        for r in t.itertuples():
            x, rate = sf.read(r.file)
            rows.append(dict(path=f"{language}.wav", start_s=at/rate, end_s=(at+len(x))/rate, language=language, speaker=r.speaker, emotion=r.emotion))
            waves.append(x)
            at += len(x)
        sf.write(d/f"{language}.wav", np.concatenate(waves), rate)
        pd.DataFrame(rows).to_csv(d/f"{language}.csv", index=False)
    return d


def test_run_and_predict_on_stretches(joined, tmp_path):
    shots = pd.read_csv(joined/"de.csv", dtype=str).groupby("emotion").head(3)[["path", "start_s", "end_s"]]
    shots.assign(path=[str(joined/o) for o in shots.path]).to_csv(tmp_path/"shots.csv", index=False)
    common = ["--map", "pca", "-q", "--cache", tmp_path/"cache"]
    status, out, err = sere("run", "--source", joined/"de.csv", "--target", joined/"it.csv", "--shots-file", tmp_path/"shots.csv", "--out", tmp_path/"r", *common)
    assert status==0, err
    t, mine = pd.read_csv(tmp_path/"r"/"predictions.csv"), pd.read_csv(joined/"it.csv")
    assert list(t)[:4]==["path", "start_s", "end_s", "emotion"] and (t.path=="it.wav").all()
    assert np.allclose(t[["start_s", "end_s"]], mine[["start_s", "end_s"]], atol=1e-5)
    assert (t.highlight_start_s>=t.start_s-.06).all() and (t.highlight_end_s<=t.end_s+.06).all()
    assert json.loads((tmp_path/"r"/"metrics.json").read_text())["n_clips"]==len(mine)
    assert f"from {len(shots)} shots" in out and "it.wav#t=" in (tmp_path/"r"/"report.html").read_text()
    course = (tmp_path/"r"/"report.html").read_text().partition('<details class="courses"')[2].partition("</details>")[0]
    assert course.count("<figure>")==1 and course.count("<rect")==course.count("data-clip=")==len(mine) and "de.wav" not in course
    assert sere("predict", "--model", tmp_path/"r"/"model", "--manifest", joined/"it.csv", "-o", tmp_path/"p.csv", "-q", "--cache", tmp_path/"cache")[0]==0
    assert pd.read_csv(tmp_path/"p.csv")[["path", "start_s", "end_s"]].equals(t[["path", "start_s", "end_s"]])
    assert sere("check", joined/"it.csv", "--fix", "-o", tmp_path/"fixed.csv", "-q")[0]==0
    assert list(pd.read_csv(tmp_path/"fixed.csv"))[:3]==["path", "start_s", "end_s"]


def test_shards_of_stretches(joined, tmp_path):
    pytest.importorskip("pyarrow")
    from sere_nb.cluster import _part_columns, encode_shards, read_shards, shard_manifest
    t = read_manifest(joined/"it.csv")[:12]
    encode_shards(t, "acoustic", tmp_path/"s", each=5, workers=0, progress=False)
    near, far = embed(t, "acoustic", progress=False), read_shards(tmp_path/"s")
    assert far.table.path.tolist()==t.path.tolist()==shard_manifest(tmp_path/"s").path.tolist()
    assert np.allclose(far.table[["start_s", "seconds"]], near.table[["start_s", "seconds"]]) and far.table.key.tolist()==near.table.key.tolist()
    assert torch.equal(far.views["acoustic"].values.nan_to_num(9), near.views["acoustic"].values.nan_to_num(9))
    assert _part_columns(t)==["start_s", "end_s"] and _part_columns(t.assign(path="a.wav"))==[]


def test_no_command_writes_over_a_recording_of_stretches(joined, tmp_path):
    recording = (joined/"it.wav").read_bytes()
    for words in (["check", joined/"it.csv", "--fix", "-q", "-o", joined/"it.wav"], ["segment", joined/"it.wav", "--language", "it", "-o", joined/"it.wav"]):
        status, _, err = sere(*words)
        assert status==2 and "reads that file" in err and err.count("\n")==1
    assert (joined/"it.wav").read_bytes()==recording


# ---- speech in long recordings ----

pytest.importorskip("silero_vad")
from sere_nb.segments import MOMENT_S, PAUSE_S, SegmentError, SpeechDetector, cut_speech, find_segments, speech_spans  # noqa: E402


@pytest.fixture(scope="module")
def radio(joined, tmp_path_factory):
    """100 s: sample clips with pauses of 2 s, and twenty seconds of nothing at the end."""
    d = tmp_path_factory.mktemp("radio")
    x, rate = sf.read(joined/"de.wav", dtype="float32")
    rows = pd.read_csv(joined/"de.csv")[:24]
    parts = [o for r in rows.itertuples() for o in (x[int(r.start_s*rate):int(r.end_s*rate)], np.zeros(2*rate, "float32"))]
    sf.write(d/"radio.wav", np.concatenate([*parts, np.zeros(20*rate, "float32")]), rate)
    ends = np.cumsum([len(o) for o in parts])/rate
    return d/"radio.wav", list(zip([0, *ends[1:-1:2]], ends[::2]))


def test_the_same_numbers_as_the_package(radio):
    """Moment by moment, as Silero's own code walks through a recording."""
    wave = load_audio(f"{radio[0]}#t=0,12", None, trim=False, level=False).wave
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from silero_vad.utils_vad import init_jit_model
        from sere_nb.segments import find_detector
        model = init_jit_model(str(find_detector()))
        model.reset_states()
        theirs = [float(model(o[None], SR)) for o in wave.split(512)[:-1]]
    ours = SpeechDetector()(wave)[:len(theirs)]
    assert np.abs(ours.numpy()-theirs).max()<1e-4


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 600), st.floats(0, 1)), max_size=60), st.sampled_from([(1., 12.), (.5, 1.), (2., 30.)]))
def test_cuts_are_within_their_bounds(runs, lengths):
    least, most = lengths
    p = np.concatenate([np.full(n, v) for n, v in runs]) if runs else np.zeros(0)
    seconds = len(p)*MOMENT_S
    cuts = cut_speech(p, seconds, least, most)
    assert all(0<=a<b<=seconds+.001 for a, b in cuts) and all(b<=c+.0011 for (_, b), (c, _) in itertools.pairwise(cuts))
    assert all(b-a<=most+.01 for a, b in cuts)
    inside = np.zeros(len(p)+1, bool)
    for a, b in cuts: inside[round(a/MOMENT_S):round(b/MOMENT_S)+1] = True
    assert all(inside[a:b].mean()>.9 for a, b in speech_spans(p))       # no speech is lost


def test_what_is_short_is_widened_or_joined():
    on = lambda *parts: np.concatenate([np.full(round(s/MOMENT_S), v) for s, v in parts])
    length = lambda cuts: [round(b-a, 1) for a, b in cuts]
    assert length(cut_speech(on((3, 0), (.4, 1), (3, 0)), 6.4))==[1.]
    assert length(cut_speech(on((3, 0), (.4, 1), (.7, 0), (2, 1), (3, 0)), 9.1))==[3.3]     # near: one utterance
    assert length(cut_speech(on((3, 0), (.4, 1), (1.5, 0), (2, 1), (3, 0)), 9.9))==[1., 2.2]
    assert length(cut_speech(on((.2, 0), (2, 1), (.6, 0), (2, 1), (1, 0)), 5.8))==[2.2, 2.2]
    assert cut_speech(on((5, 0), (.2, 1), (5, 0)), 10.2)==[]                                # a click
    long = cut_speech(on((5, 1), (.3, 0), (5, 1), (.2, 0), (5, 1), (1, 0)), 16.5)
    assert [round(o) for o in length(long)]==[5, 10]                                       # at the longest pause


def test_speech_is_found_and_nothing_else(radio, tmp_path):
    file, truth = radio
    t = pd.DataFrame(dict(path=[file.name], file=[str(file)], language="de", emotion="", corpus="radio"))
    found, about = find_segments(t, tmp_path/"cache", progress=False)
    at = [stretch(o) for o in found.file]
    assert all(1<=o.end_s-o.start_s<=12 for o in at) and at[-1].end_s<=truth[-1][1]+.5
    for a, b in truth: assert sum(max(0, min(b, o.end_s)-max(a, o.start_s)) for o in at)>.8*(b-a), (a, b)
    assert len(found)<=len(truth)+2 and list(found)==["path", "file", "language", "emotion", "corpus", "speaker"]
    assert about.stretches[0]==len(found) and about.why[0]=="" and (found.path.str.startswith("radio.wav#t=")).all()


def test_listening_goes_on_where_it_was(radio, tmp_path, monkeypatch):
    t = pd.DataFrame(dict(path=["radio.wav"], file=[str(radio[0])], language="de"))
    whole = find_segments(t, tmp_path/"whole", progress=False)[0]
    heard, real = [], SpeechDetector.__call__
    def stop(self, wave):
        if len(heard)==1: raise KeyboardInterrupt
        heard.append(len(wave))
        return real(self, wave)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(SpeechDetector, "__call__", stop)
    with pytest.raises(KeyboardInterrupt): find_segments(t, tmp_path/"cache", progress=False)
    monkeypatch.setattr(SpeechDetector, "__call__", lambda self, wave: (heard.append(len(wave)), real(self, wave))[1])
    assert find_segments(t, tmp_path/"cache", progress=False)[0].equals(whole) and len(heard)==2
    assert find_segments(t, tmp_path/"cache", progress=False)[0].equals(whole) and len(heard)==2


def test_what_cannot_be_listened_to_is_named(radio, tmp_path, talk):
    d = tmp_path/"f"
    d.mkdir()
    (d/"text.wav").write_text("no sound")
    sf.write(d/"empty.wav", np.zeros(0), SR)
    sf.write(d/"silent.wav", np.zeros(90*SR), SR)
    (d/"radio.wav").write_bytes(radio[0].read_bytes())
    status, out, err = sere("segment", d, "--language", "German", "-o", tmp_path/"m.csv", "--cache", tmp_path/"cache", "-q")
    assert status==0 and "radio.wav" in out and out.count("Left out:")==2 and "not a sound file" in out and "1:30" in out
    t = pd.read_csv(tmp_path/"m.csv")
    assert list(t)[:3]==["path", "start_s", "end_s"] and set(t.path)=={"f/radio.wav"} and set(t.language)=={"de"}
    assert not [o for o in check_manifest(tmp_path/"m.csv").itertuples() if o.level=="error"]
    for words, says in ((["segment", d/"silent.wav"], "no speech was found"), (["segment", d, "--least", "9"], "cannot be made"), (["segment", tmp_path/"no.wav"], "no such file")):
        status, out, err = sere(*words, "--language", "de", "-o", tmp_path/"n.csv", "--cache", tmp_path/"cache", "-q")
        assert status==2 and says in out+err and err.count("\n")==1 and not (tmp_path/"n.csv").exists()


def test_without_the_extra_one_line(monkeypatch, tmp_path, radio):
    monkeypatch.setattr("sere_nb.segments.find_spec", lambda name: None)
    status, _, err = sere("segment", radio[0], "--language", "de", "-o", tmp_path/"m.csv", "-q")
    assert status==2 and err=="sere: Silero VAD, which finds speech, is not installed. Install it: pip install 'sere_nb[segments]'\n"


def test_a_stretch_is_the_same_bytes_whatever_was_read_before(tmp_path, talk):
    """An mp3's decoder remembers; so each stretch has one of its own."""
    p = tmp_path/"a.mp3"
    sf.write(p, talk.numpy(), SR)
    part = lambda a: load_audio(f"{p}#t={a},{a+2}").wave
    first = part(1)
    part(9)
    assert torch.equal(part(1), first)
