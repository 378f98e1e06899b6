"""Manifests as people write them, corpora as people download them, draws that can be repeated."""
import os
import warnings
from collections import Counter

import pandas as pd
import pytest
from conftest import BAD, FINE
from hypothesis import given, settings, strategies as st

from sere_nb.corpora import (EMOTIONS, RECIPES, ManifestError, ManifestWarning, check_manifest, draw_shots, make_manifest, read_manifest,
                             read_manifests, shared_emotions, write_manifest)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


@pytest.mark.parametrize("text, says", [
    ("", "empty"), ("\n\n", "empty"), ("path,language\n", "no rows"), ("path,language\n,de\n", "no rows"),
    ("file,language\na,b\n", "no column 'path'"), ("path,lang\na,b\n", "no column 'language'"), ("Path,language\na,b\n", "there are: Path, language"),
    ("path;language\na;b\n", "separated by ';'"), ("path\tlanguage\na\tb\n", "separated by"),
    ("path,language,path\na,b,c\n", "twice"), ('path,language\n"a,b\n', "not CSV"), ('path,language\n"a"b,c\n', "line 2: not CSV"),
    ("path,language\nä,de\n".encode("latin1"), "not UTF-8"), ("path,language\n".encode("utf-16"), "not UTF-8"),
    (b"RIFF\x00\x00\x00\x00WAVEfmt \xff", "not"),
])
def test_useless_manifest_is_one_line(tmp_path, text, says):
    p = write(tmp_path/"m.csv", text)
    with pytest.raises(ManifestError) as e: read_manifest(p)
    assert says in str(e.value) and str(p) in str(e.value) and "\n" not in str(e.value)
    report = check_manifest(p)
    assert list(report.level)==["error"] and report.advice[0]


@pytest.mark.parametrize("name, said", [("no.csv", "no such manifest"), (".", "a folder, not a manifest. Make one of it: sere manifest")])
def test_no_manifest(tmp_path, name, said):
    with pytest.raises(ManifestError, match=said): read_manifest(tmp_path/name)


def test_spreadsheets(tmp_path):
    """Excel's byte-order mark, Windows line ends, spaces, blank lines, short rows, a quoted comma."""
    p = write(tmp_path/"m.csv", '\ufeffpath , language,emotion,note\r\n a.wav ,de, Anger ,\r\n\r\n"b, c.wav",de\r\n')
    t = read_manifest(p)
    assert list(t.path)==["a.wav", "b, c.wav"] and list(t.emotion)==["anger", ""] and list(t.note)==["", ""]


def test_rows_left_out_are_counted(tmp_path):
    p = write(tmp_path/"m.csv", "path,language,emotion\na.wav,de,anger\n./a.wav,de,fear\nb.wav,,anger\n,de,anger\nc.wav,de,anger,x\nd.wav,de,NA\n")
    with pytest.warns(ManifestWarning) as said: t = read_manifest(p)
    assert list(t.path)==["a.wav", "d.wav"] and t.emotion[1]=="NA"
    assert "4 of 6 rows left out" in str(said[0].message) and "1 × path twice" in str(said[0].message)
    assert "there 'anger', here 'fear'" in " ".join(check_manifest(p).problem)


def test_absolute_relative_and_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    p = write(tmp_path/"m.csv", f"path,language\nx/a.wav,de\n{tmp_path}/b.wav,de\n~/c.wav,de\n../d.wav,de\n")
    assert list(read_manifest(p).file)==[str(tmp_path/"x/a.wav"), str(tmp_path/"b.wav"), str(tmp_path/"c.wav"), str(tmp_path.parent/"d.wav")]


def test_several_manifests(tmp_path):
    a = write(tmp_path/"a.csv", "path,language,age\nx.wav,de,9\n")
    b = write(tmp_path/"b.csv", "path,language,emotion\nx.wav,de,anger\ny.wav,it,fear\n")
    with pytest.warns(ManifestWarning, match="1 clips are in more than one"): t = read_manifests([a, b])
    assert list(t.path)==["x.wav", "y.wav"] and list(t.age)==["9", ""]


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(str.strip).filter(bool)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(text, text, text), min_size=1, max_size=5, unique_by=lambda r: r[0]))
def test_written_and_read_back(tmp_path_factory, rows):
    d = tmp_path_factory.mktemp("rt")
    t = pd.DataFrame([dict(path=f"clips/{i}{p.replace('/', '_')}.wav", language=l, speaker=s) for i, (p, l, s) in enumerate(rows)])
    t["file"] = [str(d/p) for p in t.path]
    back = read_manifest(write_manifest(t, d/"m.csv"))
    assert [list(back[k]) for k in ("path", "file", "language", "speaker")]==[list(t[k]) for k in ("path", "file", "language", "speaker")]


def test_write_is_atomic_and_says_why_not(tmp_path, monkeypatch):
    t = pd.DataFrame([dict(path="a.wav", language="de")])
    write_manifest(t, tmp_path/"m.csv")
    before = (tmp_path/"m.csv").read_text()
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ManifestError, match="No space left"): write_manifest(pd.concat([t, t]), tmp_path/"m.csv")
    assert (tmp_path/"m.csv").read_text()==before
    write(tmp_path/"block", "")
    with pytest.raises(ManifestError, match="cannot be written"): write_manifest(t, tmp_path/"block"/"m.csv")
    with pytest.raises(ManifestError, match="no column 'language'"): write_manifest(t[["path"]], tmp_path/"n.csv")


def test_check_names_every_bad_file(odd, tmp_path):
    names = list(BAD)+FINE
    t = pd.DataFrame([dict(path=str(odd/o), language="xx", speaker="s", emotion="anger") for o in names])
    report = check_manifest(write_manifest(t, tmp_path/"m.csv"))
    errors = report[report.level=="error"]
    assert [os.path.basename(o) for o in errors.path]==list(BAD)
    for name, problem in zip(BAD, errors.problem): assert BAD[name] in problem or BAD[name].split()[0] in problem
    assert "only one emotion" in " ".join(report.problem)
    assert not report.problem.str.contains(str(odd), regex=False).any()


def test_check_of_a_good_corpus(corpus):
    assert not len(check_manifest(corpus(clips=3)))
    assert "fewer than 5 clips of anger (2)" in check_manifest(corpus(emotions=("anger",), clips=1)).problem[0]


# -- recipes: names as in the original folders, and what they must become

TREES = {
    "emodb": ["wav/03a01Fa.wav", "wav/08a05La.wav", "wav/16b10Eb.wav", "lablaut/03a01Fa.lablaut"],
    "emovo": ["EMOVO/f1/dis-f1-b1.wav", "EMOVO/m3/tri-m3-n5.wav", "EMOVO/documents/readme.txt"],
    "casia": ["liuchanhg/angry/201.wav", "ZhaoZuoxiang/sad/250.wav"],
    "enterface": ["subject 1/anger/sentence 1/s1_an_1.wav", "subject 23/fear/sentence 2/s23_fe_2.wav", "subject 11/sadness/sentence 3/s12_sa_3.wav",
                  "subject 1/anger/sentence 1/s1_an_1.avi", "subject 6/anger/s6_an.wav"],
    "ravdess": ["Actor_01/03-01-01-01-01-01-01.wav", "Actor_02/03-01-03-02-02-02-02.wav", "Actor_02/03-02-03-02-02-02-02.wav"],
    "cremad": ["AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1040_ITH_SAD_X.wav", "VideoDemographics.csv"],
    "savee": ["AudioData/DC/a01.wav", "AudioData/KL/su15.wav", "AudioData/JE/sa02.wav"],
    "tess": ["OAF_angry/OAF_back_angry.wav", "YAF_pleasant_surprised/YAF_dog_ps.wav", "OAF_neutral/OA_bite_neutral.wav", "x/OAF_angry/OAF_back_angry.wav"],
    "nemo": ["samples/EB0_anger_1.wav", "samples/WR0_surprised_64.wav", "data.tsv"],
    "urdu": ["Angry/SM1_F10_A010.wav", "Neutral/SF9_F1_N01.wav"],
    "shemo": ["male/M01A01.wav", "female/F21W37.wav"],
    "aesdd": ["anger/a01 (1).wav", "fear/f18 (5).wav", "fear/f18 (5)b.wav"],
    "cafe": ["Colère/Faible/01-C-1-1.wav", "Neutre/02-N-1-6.wav", "Peur/Fort/12-P-2-3.aiff"],
}
WANT = {  # emotion, speaker, gender, text_id
    "emodb": ["happiness 03 m a01", "boredom 08 f a05", "disgust 16 f b10"],
    "emovo": ["disgust f1 f b1", "sadness m3 m n5"],
    "casia": ["sadness ZhaoZuoxiang m 250", "anger liuchanhg f 201"],
    "enterface": ["anger 1  anger1", "sadness 11  sadness3", "fear 23  fear2"],
    "ravdess": ["neutral 01 m 01", "happiness 02 f 02"],
    "cremad": ["anger 1001  DFA", "sadness 1040  ITH"],
    "savee": ["anger DC m a01", "sadness JE m sa02", "surprise KL m su15"],
    "tess": ["anger OA f back", "neutral OA f bite", "surprise YA f dog"],
    "nemo": ["anger EB0 f 1", "surprise WR0 m 64"],
    "urdu": ["anger SM1 m ", "neutral SF9 f "],
    "shemo": ["surprise F21 f ", "anger M01 m "],
    "aesdd": ["anger 1  01", "fear 5  18", "fear 5  18"],
    "cafe": ["anger 01 m 1", "neutral 02 f 6", "fear 12 f 3"],
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(tmp_path, name):
    for o in TREES[name]+["__MACOSX/x.wav", f"._{os.path.basename(TREES[name][0])}"]:
        (tmp_path/name/o).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/name/o).touch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ManifestWarning)
        t = make_manifest(name, tmp_path/name)
        # from a folder further in, too
        inner = make_manifest(name, (tmp_path/name/TREES[name][0]).parent)
    assert [f"{r.emotion} {r.speaker.removeprefix(name+'_')} {r.gender} {r.text_id}" for r in t.itertuples()]==WANT[name]
    assert set(t.emotion)<=set(EMOTIONS) and set(t.corpus)=={name} and set(t.language)=={RECIPES[name].language}
    assert t.licence.all() and t.source.str.startswith("http").all() and "key" not in t
    assert len(inner)>=1
    back = read_manifest(write_manifest(t, tmp_path/"m.csv"))
    assert list(back.path)==[os.path.relpath(o, tmp_path) for o in t.file] and list(back.emotion)==list(t.emotion)


def test_every_recipe_is_told_apart_and_complete():
    assert set(TREES)==set(RECIPES)==set(WANT)
    for r in RECIPES.values():
        assert all((r.title, r.licence, r.url, r.cite, r.examples))
        assert set(r.emotions.values())<=set(EMOTIONS)
        assert all(r.parse(o) for o in r.examples)


def test_what_is_left_out_is_said(tmp_path):
    for o in TREES["enterface"]+["demo.wav"]:
        (tmp_path/o).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/o).touch()
    with pytest.warns(ManifestWarning) as said: make_manifest("enterface", tmp_path)
    said = " ".join(str(o.message) for o in said)
    assert "1 (whole sessions of subject 6" in said and "demo.wav" in said and "all of eNTERFACE'05 has 1287" in said


def test_wrong_folder(tmp_path):
    with pytest.raises(ManifestError, match="no such folder"): make_manifest("emodb", tmp_path/"no")
    with pytest.raises(ManifestError, match="found no sound file. Get it from"): make_manifest("emodb", tmp_path)
    (tmp_path/"a.wav").touch()
    with pytest.raises(ManifestError, match="found 1 sound files such as 'a.wav'"): make_manifest("emodb", tmp_path)
    with pytest.raises(ManifestError, match="no recipe 'EmoDB'"): make_manifest("EmoDB", tmp_path)


# -- shots

table = pd.DataFrame([dict(path=f"{e}/{s}/{i}.wav", language="x", speaker=s, emotion=e)
                      for e in ("anger", "fear", "") for s in "abcd" for i in range(1+3*(s=="a"))])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4), st.randoms(use_true_random=False))
def test_draw(seed, n, speakers, random):
    speakers = min(n, speakers)
    order = list(range(len(table)))
    random.shuffle(order)
    shuffled = table.iloc[order]
    mask = draw_shots(table, n, seed, min_speakers=speakers)
    got = table[mask]
    assert Counter(got.emotion)==dict(anger=n, fear=n)
    assert (got.groupby("emotion").speaker.nunique()>=speakers).all()
    assert set(got.path)==set(shuffled.path[draw_shots(shuffled, n, seed, min_speakers=speakers)])


def test_draw_is_fair():
    hits = sum(draw_shots(table, 1, s).astype(int) for s in range(700))
    anger = hits[table.emotion=="anger"]
    assert anger.sum()==700 and anger.min()>60 and anger.max()<140


@pytest.mark.parametrize("kw, says", [
    (dict(n=8), "emotion 'anger': 7 labelled clips, but 8"), (dict(n=0), "cannot draw 0"), (dict(n=2, min_speakers=3), "2 shots cannot"),
    (dict(min_speakers=5), "clips of 4 known speakers"), (dict(emotions=["joy"]), "emotion 'joy': 0"),
])
def test_draw_that_cannot_be(kw, says):
    with pytest.raises(ManifestError, match=says): draw_shots(table, **kw)
    with pytest.raises(ManifestError, match="no labelled clip"): draw_shots(table[table.emotion==""])
    with pytest.raises(ManifestError, match="no labelled clip"): draw_shots(table.drop(columns="emotion"))


def test_shared():
    a, b, c = (pd.DataFrame(dict(emotion=o)) for o in (["zeal", "fear", "anger"], ["anger", "zeal", "calm"], ["", ""]))
    assert shared_emotions(a, b)==["anger", "zeal"]
    assert shared_emotions(a, c)==shared_emotions(c, a)==["anger", "fear", "zeal"]
    assert shared_emotions(c, c)==[]


def test_sample_corpus_is_found_or_missed_in_words(tmp_path, monkeypatch):
    import sere_nb
    from sere_nb.corpora import data_samples
    monkeypatch.setattr(sere_nb, "__path__", [str(tmp_path/"sere_nb")])
    monkeypatch.setattr("sys.prefix", str(tmp_path/"env"))
    with pytest.raises(ManifestError, match="sample corpus is not there"): data_samples()
    for home in (tmp_path/"env/share/sere_nb/data_samples", tmp_path/"data_samples"):
        home.mkdir(parents=True)
        (home/"manifest.csv").touch()
        assert data_samples()==home
