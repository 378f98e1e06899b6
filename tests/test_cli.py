"""The command line's promises: exit status, one line on stderr, files and their columns, and that a killed run goes on."""
import json
import mmap
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from conftest import BAD, FINE, SR, everywhere, make_corpus, voice

from sere_nb.learner import SETTINGS
from sere_nb import corpora, encoder, folders, outcome
from sere_nb.cli import main
from sere_nb.corpora import read_manifest

HOSTILE = ["</script><img src=x onerror=\"alert(1)\">.wav", "it's \"quoted\", with comma.wav", "line\nbreak.wav", "سلام \u202egpj دنیا.wav", "😀 👩\u200d🚀.wav", "=1+1.wav"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch): monkeypatch.setenv("SERE_CACHE", str(tmp_path/"default cache"))


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """(source, target) manifests: two emotions and two voices each, tiny; one source clip has a third emotion, one target clip a fourth."""
    d = tmp_path_factory.mktemp("pair")
    source = make_corpus(d, clips=4, language="aa", name="source.csv")
    target = make_corpus(d, clips=3, language="bb", name="target.csv", f0=108)
    for m, who, word in ((source, "aa/Ann_fear_3.wav,aa,Ann,fear", "calm"), (target, "bb/Bob_fear_2.wav,bb,Bob,fear", "surprise")):
        text = m.read_text()
        assert who in text
        m.write_text(text.replace(who, who.removesuffix("fear")+word))
    return source, target


@pytest.fixture(scope="session")
def done(pair, tmp_path_factory):
    """(folder of a finished run, what it said on stdout)."""
    import contextlib
    import io
    d = tmp_path_factory.mktemp("done")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["run", "--map", "pca", "--source", str(pair[0]), "--target", str(pair[1]), "--shots", "3", "--cache", str(d/"cache"), "--out", str(d/"out"), "-q"]) == 0
    return d/"out", said.getvalue()


def one_line(capsys, *says):
    """That stderr is one line for a user, and what it holds."""
    err = capsys.readouterr().err
    assert err.startswith("sere: ") and err.count("\n") == 1, err
    for s in says: assert s in err, err
    return err


# ---- wrong use ----

def test_help_is_fast_and_complete():
    code = "import sys\nfrom sere_nb.cli import main\nassert main(['--help'])==0 and main(['run','--help'])==0\nprint('HEAVY', *{'torch','torchaudio','numpy','pandas','sklearn','transformers','plotly','tqdm'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.returncode == 0 and said.stdout.splitlines()[-1] == "HEAVY", said
    for name in ("demo", "run", "predict", "bench", "embed", "corpus", "check"): assert re.search(rf"^ +{name} ", said.stdout, re.M)
    for option in ("--source", "--target", "--encoder", "--encoder-for", "--shots", "--shots-file", "--no-speakers", "--seed", "--out"): assert option in said.stdout


def said(code, **env):
    "What a new process prints"
    return subprocess.run([sys.executable, "-c", code], env=os.environ|env, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def test_threads_that_wait_sleep(monkeypatch):
    "Where they spin and another program wants the cores too, the map of 2,000 clips took 40 s in place of 2"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    code = "import os, sere_nb; print(os.environ['OMP_WAIT_POLICY'])"
    assert said(code) == ["PASSIVE"] and said(code, OMP_WAIT_POLICY="ACTIVE") == ["ACTIVE"]


def test_products_do_not_depend_on_where_numbers_lie(monkeypatch):
    "Matrices times vectors by MKL gave three results for the same numbers, by their place in memory"
    monkeypatch.delenv("MKL_CBWR", raising=False)
    code = """
import sere_nb, torch
torch.manual_seed(0)
x, w = torch.randn(240, 88), torch.randn(88)
def moved(k): return torch.zeros(x.numel()+16)[k:k+x.numel()].view_as(x).copy_(x)
print(len({tuple((moved(k)@w).tolist()) for k in (0, 1, 2, 4, 8, 12)}))"""
    assert said(code) == ["1"]
    assert said("import os, sere_nb; print(os.environ['MKL_CBWR'])", MKL_CBWR="AVX2") == ["AVX2"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's memory")
def test_freed_memory_is_used_again():
    code = """
import resource
from sere_nb.cli import main
main(['--version'])
work = lambda: [b'x'*2**24 for _ in range(4)]
work()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(5): work()
print(faults()-before)"""
    once = 4*2**24//mmap.PAGESIZE
    assert int(said(code)[-1]) < .2*once
    assert int(said(code, MALLOC_ARENA_MAX="2")[-1]) > once        # whoever sets it decides


@pytest.mark.parametrize("argv, says", [
    (["run"], "required: --source, --target, --out"), (["nonsense"], "invalid choice"), (["check"], "required: M.csv"), (["run", "--sourc", "x"], "required"),
    (["run", "--source", "a", "--target", "b", "--out", "c", "--shots", "0"], "not a whole number"),
    (["run", "--source", "a", "--target", "b", "--out", "c", "--shots", "3", "--shots-file", "d"], "not allowed with"),
    (["run", "--source", "a", "--target", "b", "--out", "c", "--shares", "anger"], "not of the form anger=.6"), (["run", "--source", "a", "--target", "b", "--out", "c", "--shares", "anger=2"], "not of the form"),
    (["run", "--source", "a", "--target", "b", "--out", "c", "--design", "all"], "none of voices,words"), (["run", "--source", "a", "--target", "b", "--out", "c", "--design", "none,words"], "none of voices,words"),
    (["corpus", "emodb"], "sere corpus --list"), (["corpus", "nope", ".", "-o", "x.csv"], "There are: emodb"), (["corpus", "emodb", "./no such folder", "-o", "x.csv"], "no such folder"),
    (["embed", "--manifest", "nowhere.csv", "--encoder", "acoustic"], "nowhere.csv: no such manifest"),
    (["bench", "--protocol", "nowhere.json", "--corpora", ".", "--encoder", "acoustic", "--out", "b"], "nowhere.json"),
    (["predict", "--model", "nowhere", "--manifest", "nowhere.csv", "--out", "p.csv"], "nowhere.csv"),
])
def test_wrong_use(argv, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    one_line(capsys, says)


def test_no_command_and_version(capsys):
    assert main([]) == 2 and "first steps" in capsys.readouterr().err
    assert main(["--version"]) == 0


def test_bug_is_said_to_be_one(capsys, tmp_path, monkeypatch):
    def broken(*a, **k): raise KeyError("oops")
    monkeypatch.setattr("sere_nb.corpora.check_manifest", broken)
    assert main(["check", "m.csv"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "oops" in err and "Please report" in err.splitlines()[-1]


def test_stop(tmp_path, capsys, monkeypatch):
    def stopped(*a, **k): raise KeyboardInterrupt
    monkeypatch.setattr("sere_nb.corpora.check_manifest", stopped)
    assert main(["check", "m.csv"]) == 130
    assert "stopped" in capsys.readouterr().err
    monkeypatch.setattr("sere_nb.corpora.read_manifest", stopped)       # before anything could be kept
    assert main(["embed", "--manifest", "m.csv", "--encoder", "acoustic", "--cache", str(tmp_path/"c")]) == 130
    assert "stays in" not in capsys.readouterr().err


def test_the_module_is_the_command():
    said = subprocess.run([sys.executable, "-m", "sere_nb.cli", "--version"], capture_output=True, text=True)
    assert said.returncode == 0 and said.stdout.startswith("sere_nb ")
    assert subprocess.run([sys.executable, "-m", "sere_nb.cli", "no-command"], capture_output=True).returncode == 2


# ---- input that cannot be used: one line, exit 2, before any work ----

def rows(path, **change):
    """Rewrite columns of a manifest."""
    t = pd.read_csv(path, dtype=str, keep_default_na=False)
    for k, v in change.items(): t[k] = v(t) if callable(v) else v
    t.to_csv(path, index=False)


def few(label, n):
    """Keep that label only in n rows, else make it empty."""
    return lambda t: [e if e != label or (t.emotion[:i] == label).sum() < n else "" for i, e in enumerate(t.emotion)]


SPOIL = {
    "missing column": (lambda s, t: s.write_text(s.read_text().replace("path,", "file,")), ["s.csv", "no column 'path'"]),
    "missing column in the target": (lambda s, t: t.write_text(t.read_text().replace("language", "lang", 1)), ["t.csv", "no column 'language'"]),
    "no manifest": (lambda s, t: s.unlink(), ["s.csv", "no such manifest"]),
    "empty manifest": (lambda s, t: t.write_text(""), ["t.csv", "empty"]),
    "sound as manifest": (lambda s, t: shutil.copy(s.parent/"aa"/"Ann_fear_0.wav", t), ["t.csv"]),
    "no label": (lambda s, t: rows(s, emotion=""), ["s.csv", "no clip has a label"]),
    "one emotion": (lambda s, t: rows(s, emotion="fear"), ["s.csv", "only one emotion, 'fear'"]),
    "fewer than 5 clips": (lambda s, t: rows(s, emotion=few("fear", 4)), ["s.csv", "fewer than 5 labelled clips of fear (4)"]),
    "nothing can be decoded": (lambda s, t: [f.write_bytes(b"") for f in (t.parent/"bb").iterdir()], ["none of the", "bb"]),
    "source is target": (lambda s, t: shutil.copy(s, t), ["s.csv", "is in the target too"]),
}


@pytest.mark.parametrize("name", SPOIL)
def test_bad_input_is_one_line(name, corpus, tmp_path, capsys):
    s, t = corpus(clips=3, language="aa", name="s.csv"), corpus(clips=1, language="bb", name="t.csv", f0=108)
    spoil, says = SPOIL[name]
    spoil(s, t)
    assert main(["run", "--map", "pca", "--source", str(s), "--target", str(t), "--out", str(tmp_path/"out"), "-q"]) == 2
    err = [o for o in capsys.readouterr().err.splitlines() if not o.startswith("sere: warning: ")]
    assert len(err) == 1 and err[0].startswith("sere: ") and all(o in err[0] for o in says), err
    assert not (tmp_path/"out"/"predictions.csv").exists()


def shots_file(text):
    def write(d): (d/"shots").write_text(text); return ["--shots-file", str(d/"shots")]
    return write


def empty_encoder(d):
    (d/"enc").mkdir()
    (d/"enc"/"config.json").write_text('{"model_type": "whisper", "encoder_layers": 6}')
    return ["--encoder", str(d/"enc")]


def file_as(option):
    def make(d): (d/"a file").touch(); return [option, str(d/"a file"/"x")]
    return make


OPTIONS = {
    "no such emotion": (lambda d: ["--emotions", "fear,joy"], ["no clip is labelled 'joy'"]),
    "one emotion wanted": (lambda d: ["--emotions", "fear"], ["only one emotion"]),
    "too many shots": (lambda d: ["--shots", "7"], ["fewer than 7 labelled clips of anger (6), fear (6)"]),
    "too many speakers": (lambda d: ["--min-speakers", "3"], ["clips of 2 known speakers"]),
    "no such encoder": (lambda d: ["--encoder", str(d/"nowhere")], ["nowhere: no such folder"]),
    "encoder without weights": (empty_encoder, ["enc: there are no complete safetensors weights"]),
    "encoder for nobody": (lambda d: ["--encoder-for", "zz=acoustic"], ["no clip is in the language 'zz'", "aa, bb"]),
    "encoder for what": (lambda d: ["--encoder-for", "aa"], ["LANGUAGE=ENCODER"]),
    "shots nowhere": (shots_file("aa/Ann_fear_0.wav\nnobody.wav\n"), ["line 2: shot nobody.wav is not in the source"]),
    "shots empty": (shots_file("\n"), ["list of shots is empty"]),
    "shots of one emotion": (shots_file("path\naa/Ann_fear_0.wav\naa/Bob_fear_0.wav\n"), ["only one emotion"]),
    "no shots": (lambda d: ["--shots-file", str(d/"none")], ["none: the list of shots cannot be read"]),
    "cache is a file": (file_as("--cache"), ["a file", "cache folder cannot be written"]),
    "out is a file": (file_as("--out"), ["a file", "folder cannot be written"]),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_option_is_one_line(name, corpus, tmp_path, capsys):
    s, t = corpus(clips=3, language="aa", name="s.csv"), corpus(clips=1, language="bb", name="t.csv", f0=108)
    make, says = OPTIONS[name]
    assert main(["run", "--map", "pca", "--source", str(s), "--target", str(t), "--out", str(tmp_path/"out"), "-q", *make(tmp_path)]) == 2
    one_line(capsys, *says)


# ---- check ----

def test_check(pair, odd, tmp_path, capsys):
    assert main(["check", str(pair[0]), "-q"]) == 0
    out = capsys.readouterr()
    assert "no error" in out.out and "calm (1)" in out.out and not out.err
    pd.DataFrame(dict(path=[str(odd/o) for o in (*BAD, *FINE)], language="xx")).to_csv(tmp_path/"m.csv", index=False)
    assert main(["check", str(tmp_path/"m.csv"), "-q"]) == 2
    out = capsys.readouterr()
    assert out.err.count("\n") == 1 and f"{len(BAD)} errors" in out.err
    for name, says in BAD.items(): assert any(f": error: {odd/name}: " in o and says in o for o in out.out.splitlines()), name
    assert not any(f": error: {odd/name}" in out.out for name in FINE)


def test_check_of_what_is_no_manifest(tmp_path, capsys):
    (tmp_path/"excel.csv").write_text("Pfad;language\na.wav;hu\n")
    assert main(["check", str(tmp_path/"excel.csv"), "-q"]) == 2
    said = capsys.readouterr()
    assert "no column 'path'; there are: Pfad, language" in said.out and "no manifest that can be used" in said.err and "Clips" not in said.err


def test_manifest_of_a_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "can_decode", lambda: False)
    for name in ("my clips/eva/a.wav", "my clips/jan/B.WAV", "my clips/jan/.c.wav", "my clips/jan/d.m4a", "notes/e.txt"):
        to = tmp_path/name
        to.parent.mkdir(parents=True, exist_ok=True)
        sf.write(to, voice(), SR, format="WAV") if name.lower().endswith("wav") else to.write_text("no sound")
    assert main(["manifest", "my clips", "--language", "hu", "-o", "lists/mine.csv"]) == 0
    said = capsys.readouterr()
    assert "eva" in said.out and "sere check lists/mine.csv" in said.out and "left out 1 that need a decoder, such as 'd.m4a'" in said.err
    table = read_manifest("lists/mine.csv")
    assert [Path(o).name for o in table.file] == ["a.wav", "B.WAV"] and list(table.speaker) == ["eva", "jan"] and set(table.corpus) == {"my clips"} and not any(table.emotion)
    assert main(["check", "lists/mine.csv", "-q"]) == 0
    assert main(["manifest", "my clips", "--language", "hu", "-o", "lists/mine.csv"]) == 0
    table.assign(emotion=["anger", ""]).drop(columns="file").to_csv("lists/mine.csv", index=False)    # labels filled in
    before = (tmp_path/"lists/mine.csv").read_bytes()
    capsys.readouterr()
    assert main(["manifest", "my clips", "--language", "hu", "-o", "lists/mine.csv"]) == 2
    assert "has been changed since sere wrote it" in capsys.readouterr().err and (tmp_path/"lists/mine.csv").read_bytes() == before
    assert main(["manifest", "notes", "--language", "hu", "-o", "none.csv"]) == 2 and not (tmp_path/"none.csv").exists()
    assert main(["check", "my clips", "-q"]) == 2 and "sere manifest my clips" in capsys.readouterr().out


def test_folders_as_they_lie_on_disks(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("rec/jan/a.wav", "rec/jan/a.mp3", "disk/b.wav"):
        (tmp_path/name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(tmp_path/name, voice(), SR)
    os.symlink(tmp_path/"disk", "rec/spk1")
    os.symlink(tmp_path/"rec", "disk/circle")
    try: os.mkdir(b"rec/Col\xe8re")
    except OSError: pytest.skip("this system has no such names")
    assert main(["manifest", "rec", "--language", "", "-o", "m.csv"]) == 2
    one_line(capsys, "no language is given")
    assert main(["manifest", "rec", "--language", "French", "-o", "m.csv"]) == 0
    err = capsys.readouterr().err
    assert "language French is written as fr" in err and "better format, too, such as 'a.mp3'" in err and r"rec/Col\xe8re" in err
    t = read_manifest("m.csv")
    assert list(t.path) == ["rec/jan/a.wav", "rec/spk1/b.wav"] and list(t.speaker) == ["jan", "spk1"] and set(t.language) == {"fr"}
    assert main(["corpus", "cafe", "rec", "-o", "c.csv"]) == 2
    one_line(capsys, "no file of CaFE found", r"Col\xe8re")


def test_a_damaged_mp3_says_nothing_of_its_own(corpus, tmp_path, capfd):
    m = corpus(clips=3, language="aa", name="m.csv")
    sf.write(tmp_path/"aa"/"whole.mp3", voice(20.), SR)
    data = (tmp_path/"aa"/"whole.mp3").read_bytes()
    (tmp_path/"aa"/"Ann_fear_0.wav").write_bytes(data[:len(data)//2]+bytes(4000)+data[len(data)//2+4000:])
    assert main(["check", str(m), "-q"]) == 0
    said = capfd.readouterr()
    assert said.out.count("aa/Ann_fear_0.wav: damaged after ") == 1 and "1 warning, no error" in said.out and not said.err


# ---- lists as people have them ----

def spelt(*words): return lambda t: [dict(zip(("anger", "fear"), words[i%len(words)]))[e] for i, e in enumerate(t.emotion)]


def test_one_vocabulary_for_source_target_and_emotions(corpus, tmp_path, capsys):
    s, t = corpus(clips=4, language="aa", name="s.csv"), corpus(clips=2, language="bb", name="t.csv", f0=108)
    rows(s, emotion=spelt(("anger", "panic!"), ("Angry", "Panic!")))
    rows(t, emotion=spelt(("Wut", "PANIC!"), ("ANGRY", "panic!")))
    assert main(["run", "--map", "pca", "--source", str(s), "--target", str(t), "--emotions", "Anger,PANIC!", "--out", str(tmp_path/"out"), "-q"]) == 0
    said = capsys.readouterr()
    assert list(pd.read_csv(tmp_path/"out"/"predictions.csv"))[2:4] == ["p_anger", "p_panic!"]
    m = json.loads((tmp_path/"out"/"metrics.json").read_text())
    assert m["n_clips"] == 8 and not m["not_scored"]
    assert said.err.count("s.csv: labels brought to one vocabulary") == said.err.count("t.csv: labels brought to one vocabulary") == 1 and "Wut → anger 2" in said.err


def test_columns_and_labels_are_what_one_says(corpus, tmp_path, capsys):
    """In the source alone, in the target alone: --column holds where there is such a column."""
    s, t = corpus(clips=3, language="aa", name="s.csv"), corpus(clips=2, language="bb", name="t.csv", f0=108)
    s.write_text(s.read_text().replace("speaker,emotion", "Sprecher;Gefühl".replace(";", ","), 1).replace(",anger", ",W").replace(",fear", ",A").replace(",", ";"))
    (tmp_path/"words.csv").write_text("from,to\nW,anger\nA,fear\n")
    how = ["--column", "speaker=Sprecher", "--column", "emotion=Gefühl", "--labels", str(tmp_path/"words.csv")]
    assert main(["check", str(s), "-q"]) == 0 and "column 'Sprecher' is not used; did you mean speaker" in capsys.readouterr().out
    assert main(["check", str(s), *how, "-q"]) == 0
    out = capsys.readouterr().out
    assert "is not used" not in out and "read with semicolons between columns" in out and "W → anger 6" in out
    assert main(["run", "--map", "pca", "--source", str(s), "--target", str(t), *how, "--min-speakers", "2", "--out", str(tmp_path/"out"), "-q"]) == 0
    assert json.loads((tmp_path/"out"/"metrics.json").read_text())["n_clips"] == 8
    capsys.readouterr()
    assert main(["predict", "--model", str(tmp_path/"out"/"model"), "--manifest", str(s), *how[:4], "--out", str(tmp_path/"p.csv"), "-q"]) == 0
    assert main(["embed", "--manifest", str(s), "--encoder", "acoustic", *how[:4], "-q"]) == 0
    capsys.readouterr()
    assert main(["run", "--source", str(s), "--target", str(t), "--column", "speaker=Sprechr", "--out", str(tmp_path/"o"), "-q"]) == 2
    one_line(capsys, "no manifest has a column 'Sprechr'")
    assert main(["embed", "--manifest", str(s), "--encoder", "acoustic", "--column", "corpus=Korpus", "-q"]) == 2
    one_line(capsys, "no column 'Korpus' to be read as corpus; there are: path, language, Sprecher, Gefühl")
    assert main(["check", str(s), "--column", "voice=Sprecher"]) == 2
    one_line(capsys, "not of the form OURS=THEIRS")


def test_encoders_by_any_name_of_a_language(corpus, tmp_path, capsys):
    m = corpus(clips=1, language="aa", name="m.csv")
    rows(m, language=lambda t: [("de", "German", "deu", "de-DE")[i%4] for i in range(len(t))])
    assert main(["embed", "--manifest", str(m), "--encoder", "acoustic", "--encoder-for", "Deutsch=acoustic", "-q"]) == 0
    assert capsys.readouterr().err.count("languages brought to one code each") == 1
    assert main(["embed", "--manifest", str(m), "--encoder", "acoustic", "--encoder-for", "French=acoustic", "-q"]) == 2
    assert "no clip is in the language 'fr'. There are: de." in capsys.readouterr().err


def test_placeholders_in_a_run(corpus, tmp_path, capsys):
    s, t = corpus(clips=6, language="aa", name="s.csv"), corpus(clips=1, language="bb", name="t.csv", f0=108)
    rows(s, emotion=lambda t: [("nan", "N/A", "?", "xxx")[i//2%4] if i%2 else e for i, e in enumerate(t.emotion)])
    assert main(["run", "--map", "pca", "--source", str(s), "--target", str(t), "--out", str(tmp_path/"out"), "-q"]) == 0
    assert "12 of 24 labels are placeholders (nan 3, N/A 3, ? 3, xxx 3)" in capsys.readouterr().err
    assert list(pd.read_csv(tmp_path/"out"/"predictions.csv"))[2:4] == ["p_anger", "p_fear"]


def test_the_same_sound_under_several_names_is_said(corpus, tmp_path, capsys):
    s, t = corpus(clips=4, language="aa", name="s.csv"), corpus(clips=1, language="bb", name="t.csv", f0=108)
    lines = t.read_text().splitlines()
    for i, label in enumerate(("anger", "fear")):       # of one clip it is said otherwise
        file, *rest = lines[1].split(",")
        shutil.copy(tmp_path/file, tmp_path/f"again {i}.wav")
        lines.append(",".join([f"again {i}.wav", *rest[:2], label]))
    t.write_text("\n".join(lines)+"\n")
    assert main(["run", "--map", "pca", "--source", str(s), "--target", str(t), "--shots", "3", "--out", str(tmp_path/"out"), "-q", "--no-audio"]) == 0
    one_line(capsys, f"{t}: 2 clips with the same sound as another (the first is again 0.wav, the same as bb/", "1 of these sounds have several labels", f"sere check {t}")
    assert main(["check", str(t), "-q"]) == 0
    out = capsys.readouterr().out
    assert out.count("the same sound as line 2") == 2 and out.count("the same sound as line 2, there 'anger', here 'fear'") == 1


def test_labels_in_other_words_are_told_how_to_be_meant(corpus, tmp_path, capsys):
    s, t = corpus(clips=4, language="aa", name="s.csv"), corpus(clips=1, language="bb", name="t.csv", f0=108)
    rows(t, emotion=lambda t: t.emotion.map(dict(anger="W", fear="5")))
    run = ["run", "--map", "pca", "--source", str(s), "--target", str(t), "--shots", "3", "--out", str(tmp_path/"out"), "-q", "--no-audio"]
    assert main(run) == 0 and "(W 2, 5 2). If they are other words for the same, say so: --labels FILE" in capsys.readouterr().out
    assert main(["check", str(t), "-q"]) == 0 and capsys.readouterr().out.count("--labels FILE, with the columns from,to") == 2
    (tmp_path/"words.csv").write_text("from,to\nW,anger\n5,fear\n")
    assert main([*run, "--labels", str(tmp_path/"words.csv")]) == 0 and "Compared with the labels of 4 clips" in capsys.readouterr().out


def test_shots_with_labels(corpus, tmp_path, capsys):
    """The list of shots counts, and a line says where it differs; the manifest need not have a label for them."""
    s, t = corpus(clips=3, language="aa", name="s.csv"), corpus(clips=1, language="bb", name="t.csv", f0=108)
    table = pd.read_csv(s, dtype=str)
    shots = table.groupby("emotion").head(3)[["path", "emotion"]]
    swapped = shots.assign(emotion=shots.emotion.map(dict(anger="Angst", fear="Wut")))
    run = lambda out: main(["run", "--map", "pca", "--source", str(s), "--target", str(t), "--shots-file", str(tmp_path/"shots.csv"), "--out", str(tmp_path/out), "-q"])
    p = {}
    for name, list_, warned in (("same", shots, 0), ("swapped", swapped, 1)):
        list_.to_csv(tmp_path/"shots.csv", index=False, sep=";")
        assert run(name) == 0
        assert capsys.readouterr().err.count("6 of 6 shots have another label than in the manifest (the first in line 2: 'fear', there 'anger')") == warned
        p[name] = pd.read_csv(tmp_path/name/"predictions.csv")
    rows(s, emotion="")
    assert run("bare") == 0 and not capsys.readouterr().err
    p["bare"] = pd.read_csv(tmp_path/"bare"/"predictions.csv")
    assert np.allclose(p["same"].p_anger, p["swapped"].p_fear, atol=1e-3) and not np.allclose(p["same"].p_anger, p["swapped"].p_anger, atol=.1)
    assert set(p["bare"].emotion) <= {"anger", "fear"}


def test_check_writes_the_mended_list(corpus, tmp_path, capsys):
    m = corpus(clips=5, language="aa", name="m.csv")
    rows(m, language="German", emotion=spelt(("Wut", "Angst"), ("angry", "nan")))
    m.write_text(m.read_text().replace("speaker", "spk", 1).replace(",", ";"), encoding="utf-16")
    before, fixed = m.read_bytes(), tmp_path/"lists"/"fixed.csv"
    assert main(["check", str(m), "--column", "speaker=spk", "--fix", "-o", str(fixed), "-q"]) == 0
    assert "20 rows written" in capsys.readouterr().out and m.read_bytes() == before
    assert fixed.read_text(encoding="utf-8").splitlines()[:2] == ["path,language,speaker,emotion,corpus", f"{tmp_path}/aa/Ann_anger_0.wav,de,Ann,anger,"]
    assert main(["check", str(fixed), "-q"]) == 0 and "all is well" in capsys.readouterr().out
    fix = lambda out: main(["check", str(m), "--column", "speaker=spk", "--fix", "-o", str(out), "-q"])
    was = fixed.read_bytes()
    assert fix(fixed) == 0 and fixed.read_bytes() == was and "20 rows written" in capsys.readouterr().out
    os.link(m, tmp_path/"hard.csv")
    for out in (m, tmp_path/"lists"/".."/"m.csv", tmp_path/"hard.csv"):
        assert fix(out) == 2
        one_line(capsys, "this command reads that file", "-o FILE")
    (tmp_path/"mine.csv").write_text("mine")
    fixed.write_bytes(was+b"mine")
    for out, why in ((tmp_path/"mine.csv", "nothing says that sere wrote it"), (fixed, "has been changed since sere wrote it")):
        assert fix(out) == 2
        one_line(capsys, why, "-o FILE")
    assert (tmp_path/"mine.csv").read_text() == "mine" and fixed.read_bytes() == was+b"mine"
    assert main(["check", str(m), "--fix", "-q"]) == 2
    one_line(capsys, "give the file to write, too")
    assert m.read_bytes() == before


# ---- a run ----

def test_run_writes_what_it_promises(done, pair):
    out, said = done
    assert sorted(o.name for o in out.glob("[!.]*")) == ["metrics.json", "model", "predictions.csv", "report.html"]
    assert {o.suffix for o in (out/"model").glob("[!.]*")} == {".json", ".safetensors"}
    t, target = pd.read_csv(out/"predictions.csv"), read_manifest(pair[1])
    assert list(t) == ["path", "emotion", "p_anger", "p_fear", "resonance", "highlight_start_s", "highlight_end_s", "heard"]    # calm has one clip only
    assert list(t.path) == list(target.path) and set(t.emotion) <= {"anger", "fear"}
    p = t.filter(regex="^p_").to_numpy()
    assert np.allclose(p.sum(1), 1, atol=1e-4) and (t.emotion == np.array(["anger", "fear"])[p.argmax(1)]).all()
    assert t.resonance.between(-1, 1).all() and (0 <= t.highlight_start_s).all() and (t.highlight_start_s < t.highlight_end_s).all() and (t.highlight_end_s < .5).all()
    m = json.loads((out/"metrics.json").read_text())
    assert set(m) >= {"uar", "wa", "macro_f1", "ci95", "confusion"} and m["not_scored"] == {"surprise": 1} and m["n_clips"] == 11
    truth = target.emotion[target.emotion != "surprise"]
    assert m["wa"] == pytest.approx((t.emotion[truth.index] == truth).mean(), abs=1e-5)
    assert "surprise 1" in said and "UAR" in said and str(out/"report.html") in said


def test_report_needs_nothing_else(done):
    page = (done[0]/"report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//|@import|fetch\(|XMLHttpRequest""", page)
    assert str(done[0].parent.parent) not in page and "default-src 'none'" in page
    clips = json.loads(re.search(r'id="clips">(.*?)</script>', page)[1])
    sounds = json.loads(re.search(r'id="sounds">(.*?)</script>', page)[1])
    fields = json.loads(re.search(r'id="fields">(.*?)</script>', page)[1])
    assert len(clips["path"]) == len(fields["rows"]) == len(sounds) == 27 and clips["revealed"] and len(clips["rounds"]) == SETTINGS["rounds"]+1


def test_design_and_shares_are_said(done):
    m, page = json.loads((done[0]/"metrics.json").read_text()), (done[0]/"report.html").read_text(encoding="utf-8")
    assert set(m["design"]) == {"source", "target"} and all(set(d) == {"voices", "words", "planned", "told"} and not d["told"] for o in m["design"].values() for d in o.values())
    (o,) = m["shares_assumed"].values()
    assert o["how"] == "no emotion far more frequent was looked for, as it has fewer than 50 clips; assumed equal, softly" and o["shares"] == {"anger": .5, "fear": .5}
    assert "How they were made: " in done[1] and f"Shares in the target: {o['how']}." in done[1]
    assert "how the target was made" in page and "shares in the target" in page


@pytest.mark.parametrize("shares, design, how, voices, words", [
    ("fear=.8", "voices,words", "as told, firmly: anger 20 %, fear 80 %", True, True), ("unknown", "none", "no emotion far more frequent was looked for, as it has fewer than 50 clips; assumed equal, softly", False, False), ("estimate", "none", "estimated", False, False), ("balanced", "words", "assumed equal, softly", False, True)])
def test_design_and_shares_are_told(pair, tmp_path, capsys, shares, design, how, voices, words):
    assert main(["run", "--map", "pca", "--source", str(pair[0]), "--target", str(pair[1]), "--shots", "3", "--out", str(tmp_path/"out"), "-q", "--no-audio", "--shares", shares, "--design", design]) == 0
    m, said = json.loads((tmp_path/"out"/"metrics.json").read_text()), capsys.readouterr().out
    (d,), (o,) = m["design"]["target"].values(), m["shares_assumed"].values()
    assert d == dict(voices=voices, words=words, planned=False, told=True) and o["how"].startswith(how) and how in said and "(as told)" in said
    assert sum(o["shares"].values()) == pytest.approx(1, abs=1e-5) and not any(o["told"] for o in m["design"]["source"].values())


def test_shares_that_labels_contradict(corpus, tmp_path, capsys):
    s, t = corpus(clips=5, language="aa", name="s.csv"), corpus(clips=10, language="bb", name="t.csv", f0=108)
    run = ["run", "--map", "pca", "--source", str(s), "--target", str(t), "--shots", "3", "--no-audio", "-q", "--out", str(tmp_path/"out")]
    assert main([*run, "--shares", "bliss=.5"]) == 2
    assert "--shares bliss: not one of" in capsys.readouterr().err and not (tmp_path/"out"/"predictions.csv").exists()
    assert main([*run, "--shares", "anger=.9"]) == 0
    line = "contradict the shares: anger has 50 % of them, 90 % was told. If that holds for all clips, say so: --shares anger=0.5,fear=0.5."
    assert line in capsys.readouterr().out and line in (tmp_path/"out"/"report.html").read_text()
    assert main(run) == 0 and "contradict" not in capsys.readouterr().out


def test_target_labels_change_nothing_and_old_files_go(done, pair, tmp_path, capsys):
    out = shutil.copytree(done[0], tmp_path/"out")
    target = tmp_path/"unlabelled.csv"
    t = read_manifest(pair[1])
    t.assign(path=t.file)[["path", "language", "speaker"]].to_csv(target, index=False)
    assert main(["run", "--map", "pca", "--source", str(pair[0]), "--target", str(target), "--shots", "3", "--out", str(out), "-q"]) == 0
    a, b = (pd.read_csv(o/"predictions.csv").drop(columns="path") for o in (done[0], out))
    pd.testing.assert_frame_equal(a, b)
    assert not (out/"metrics.json").exists()
    clips = json.loads(re.search(r'id="clips">(.*?)</script>', (out/"report.html").read_text())[1])
    assert "label" not in clips and "Compared with" not in (out/"report.html").read_text()


def test_odd_files_are_skipped_and_counted(pair, odd, two_hours, tmp_path, capsys):
    """Every strange file at once, twice the same path, hostile names, hand-picked shots."""
    d = tmp_path/"odd"
    d.mkdir()
    for name in HOSTILE: shutil.copy(odd/"plain.wav", d/name.replace("/", "_"))
    hostile = [str(d/o.replace("/", "_")) for o in HOSTILE]
    paths = [str(odd/o) for o in (*BAD, *FINE)]+[str(two_hours)]+hostile
    pd.DataFrame(dict(path=paths+paths[-1:], language="bb", speaker="Cy", emotion="<b>own</b>")).to_csv(tmp_path/"t.csv", index=False)
    s = read_manifest(pair[0])
    (tmp_path/"shots.txt").write_text("\n".join(s.path[s.emotion.isin(["anger", "fear"])].iloc[[0, 1, -2, -1]]))
    assert main(["run", "--map", "pca", "--source", str(pair[0]), "--target", str(tmp_path/"t.csv"), "--shots-file", str(tmp_path/"shots.txt"), "--no-speakers", "--encoder-for", "bb=acoustic",
                 "--out", str(tmp_path/"out"), "-q"]) == 0
    said = capsys.readouterr()
    assert all(o.startswith("sere: warning: ") for o in said.err.splitlines()), said.err
    assert "path twice" in said.err and f"{len(BAD)-5} more clips" in said.err and "s long, cut to" in said.err
    assert f"Left out: {len(BAD)} clips" in said.out
    skipped = pd.read_csv(tmp_path/"out"/"skipped.csv")
    assert list(skipped.path) == [str(odd/o) for o in BAD] and all(says in why for says, why in zip(BAD.values(), skipped.why))
    t = pd.read_csv(tmp_path/"out"/"predictions.csv", dtype=dict(path=str))
    assert list(t.path) == [o for o in paths if o not in set(skipped.path)]
    assert not (tmp_path/"out"/"metrics.json").exists() and "own" in said.out
    page = (tmp_path/"out"/"report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page and "<b>own" not in page and page.count("</script>") == 4
    assert set(hostile) <= set(json.loads(re.search(r'id="clips">(.*?)</script>', page)[1])["path"])


# ---- predict ----

def test_predict(done, pair, tmp_path, capsys):
    assert main(["predict", "--model", str(done[0]/"model"), "--manifest", str(pair[1]), "--out", str(tmp_path/"new"/"p.csv"), "-q"]) == 0
    a, b = pd.read_csv(done[0]/"predictions.csv"), pd.read_csv(tmp_path/"new"/"p.csv")
    assert list(a) == list(b) and list(a.emotion) == list(b.emotion)
    assert np.allclose(a.filter(regex="^p_|_s$|^res"), b.filter(regex="^p_|_s$|^res"), atol=1e-3)


def test_no_answer_where_it_is_not_sure(pair, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(SETTINGS, "softness", (500., 500., 500.))     # these tones are told apart with certainty; make it waver
    run = ["run", "--map", "pca", "--source", str(pair[0]), "--target", str(pair[1]), "--shots", "3", "-q", "--out"]
    assert main([*run, str(tmp_path/"all")]) == 0
    full = pd.read_csv(tmp_path/"all"/"predictions.csv")
    least = float(full.filter(regex="^p_").max(axis=1).median())
    said = ["--at-least", f"{least:.6f}"]
    assert main([*run, str(tmp_path/"out"), *said]) == 0
    assert "(no answer)" in (out := capsys.readouterr().out) and "get an answer" in out
    assert main(["predict", "--model", str(tmp_path/"all"/"model"), "--manifest", str(pair[1]), "--out", str(tmp_path/"p.csv"), "-q", *said]) == 0
    for file in (tmp_path/"out"/"predictions.csv", tmp_path/"p.csv"):
        t = pd.read_csv(file, keep_default_na=False)
        assert list(t) == list(full) and set(t.emotion) > {""}
        assert ((t.emotion == "") == (t.filter(regex="^p_").max(axis=1) < least-1e-6)).all() and (t.emotion[t.emotion != ""] == full.emotion[t.emotion != ""]).all()
        assert np.allclose(t.filter(regex="^p_"), full.filter(regex="^p_"), atol=1e-3)
    m, before = (json.loads((tmp_path/o/"metrics.json").read_text()) for o in ("out", "all"))
    assert {k: v for k, v in m.items() if k not in ("at_least", "coverage", "answered")} == before and 0 <= m["ece"] <= 1
    truth = read_manifest(pair[1]).emotion
    answers = pd.read_csv(tmp_path/"out"/"predictions.csv", keep_default_na=False).emotion[truth != "surprise"]
    assert m["coverage"] == pytest.approx((answers != "").mean(), abs=1e-5) and m["answered"]["n_clips"] == (answers != "").sum()
    assert m["answered"]["wa"] == pytest.approx((answers == truth[answers.index])[answers != ""].mean(), abs=1e-5)
    assert main(["predict", "--model", "m", "--manifest", "m.csv", "--out", "p.csv", "--at-least", "high"]) == 2
    one_line(capsys, "'high' is not a share")


@pytest.mark.parametrize("spoil, says", [
    (lambda m: (m/"encoder.json").unlink(), "no model with its encoder.json"),
    (lambda m: (m/"encoder.json").write_text("{}"), "no model with its encoder.json"),
    (lambda m: (m/"encoder.json").write_text((m/"encoder.json").read_text().replace('"code": ', '"code": 9')), "not the encoder that"),
    (lambda m: next(m.glob("*.safetensors")).write_bytes(b"torn"), "model"),
    (lambda m: next(m.glob("*.safetensors")).unlink(), "model"),
])
def test_model_that_does_not_fit(spoil, says, done, pair, tmp_path, capsys):
    model = shutil.copytree(done[0]/"model", tmp_path/"model")
    spoil(model)
    assert main(["predict", "--model", str(model), "--manifest", str(pair[1]), "--out", str(tmp_path/"p.csv"), "-q"]) == 2
    one_line(capsys, says)


def test_model_with_another_encoder(done, pair, tmp_path, capsys):
    assert main(["predict", "--model", str(done[0]/"model"), "--manifest", str(pair[1]), "--encoder", str(tmp_path/"gone"), "--out", str(tmp_path/"p.csv"), "-q"]) == 2
    one_line(capsys, "gone", "--encoder FOLDER")
    assert main(["predict", "--model", str(done[0]/"model"), "--manifest", str(pair[1]), "--out", str(tmp_path), "-q"]) == 2
    one_line(capsys, "a folder")


# ---- embed, corpus, bench, demo ----

def test_embed(pair, tmp_path, capsys):
    assert main(["embed", "--manifest", str(pair[1]), "--encoder", "acoustic", "--cache", str(tmp_path/"c"), "-q"]) == 0
    assert capsys.readouterr().out.startswith("12 clips")
    assert len(list((tmp_path/"c").rglob("*.safetensors"))) == 12


def test_corpus(odd, tmp_path, capsys):
    for name in ("03a01Fa.wav", "16b10Wb.wav"):
        (tmp_path/"wav").mkdir(exist_ok=True)
        shutil.copy(odd/"plain.wav", tmp_path/"wav"/name)
    assert main(["corpus", "emodb", str(tmp_path), "-o", str(tmp_path/"m.csv")]) == 0
    said = capsys.readouterr()
    assert "anger 1, happiness 1" in said.out and "2 clips, but all of EMO-DB" in said.err
    assert list(read_manifest(tmp_path/"m.csv").path) == ["wav/03a01Fa.wav", "wav/16b10Wb.wav"]
    assert main(["corpus", "--list"]) == 0 and "ravdess" in capsys.readouterr().out


def test_bench(corpus, tmp_path, capsys):
    from sere_nb.evaluate import make_protocol
    for i, name in enumerate(("aa", "bb")): corpus(clips=2, language=name, name=f"{name}.csv", f0=100+8*i)
    (tmp_path/"p.json").write_text(json.dumps(make_protocol(tmp_path, ["aa", "bb"], shots=2, seeds=range(2))))
    argv = ["bench", "--protocol", str(tmp_path/"p.json"), "--corpora", str(tmp_path), "--encoder", "acoustic", "--methods", "nearest_prototype", "--out", str(tmp_path/"b"), "-q"]
    assert main([*argv, "--seeds", "0-1"]) == 0
    assert "aa→bb" in capsys.readouterr().out
    assert list(pd.read_csv(tmp_path/"b"/"results.csv")) == ["method", "source", "target", "seed", "n_classes", "uar", "wa", "macro_f1", "fit_s", "shots", "ece"]
    assert {"summary.md", "heatmap.html"} <= {o.name for o in (tmp_path/"b").iterdir()}
    assert main([*argv, "--seeds", "x"]) == 2
    one_line(capsys, "seeds 'x'")
    assert main([*argv, "--methods", "magic"]) == 2
    one_line(capsys, "no method 'magic'")


def test_bench_in_other_conditions(corpus, tmp_path, capsys):
    from sere_nb.evaluate import make_protocol
    for i, name in enumerate(("aa", "bb")): corpus(("anger", "calm", "fear"), clips=3, language=name, name=f"{name}.csv", f0=100+8*i)
    (tmp_path/"p.json").write_text(json.dumps(make_protocol(tmp_path, ["aa", "bb"], shots=2, seeds=[0])))
    def go(out, *options): return main(["bench", "--protocol", str(tmp_path/"p.json"), "--corpora", str(tmp_path), "--encoder", "acoustic", "--cache", str(tmp_path/"c"), "--out", str(tmp_path/out), "-q", *options])
    assert go("shots", "--methods", "logistic_regression", "--shots", "1,3", "--clips") == 0
    assert "Shots per emotion" in capsys.readouterr().out and len(list((tmp_path/"shots"/"clips").glob("*.csv"))) == 4
    assert go("thin", "--methods", "jdar,nearest_prototype", "--thin", "0.6", "--missing", "1") == 0
    assert "one emotion 60 % of the target, 1 emotion missing" in (tmp_path/"thin"/"summary.md").read_text()
    capsys.readouterr()
    assert go("thin", "--methods", "jdar", "--thin", "0.5") == 2
    one_line(capsys, "made with other protocol")
    assert go("new", "--new-speakers") == 0
    assert "sere:new" in capsys.readouterr().out and "sere:new − sere:seen" in (tmp_path/"new"/"summary.md").read_text()
    assert go("x", "--thin", "60") == 2
    one_line(capsys, "'60' is not a share between 0 and 1")
    assert go("x", "--shots", "9") == 2
    one_line(capsys, "9 shots: only 6 clips of aa carry 'anger'")


def test_the_interval_of_a_run_draws_speakers():
    table = pd.DataFrame(dict(emotion=["anger", "fear"]*20, p_anger=[.9, .1]*20, p_fear=[.1, .9]*20))
    truth = np.array(["anger", "fear"]*10+["fear", "anger"]*10)
    voices = np.repeat(list("abcdefgh"), 5)     # each all right or all wrong
    by = {who: outcome.judge(truth, table, ["anger", "fear"], speakers=o) for who, o in dict(none=None, some=np.where(voices == "a", "", voices), all=voices).items()}
    assert [o["ci95_draws"] for o in by.values()] == ["clips", "clips", "speakers"]
    width = {k: np.diff(o["ci95"])[0] for k, o in by.items()}
    assert width["none"] == width["some"] < .8*width["all"]
    assert "95 % interval over speakers" in next(iter(outcome._verdict(by["all"]))) and json.dumps(by["all"])
    some = outcome.judge(truth, table, ["anger", "fear"], at_least=.8, speakers=voices)
    assert some["answered"]["ci95_draws"] == "speakers"


def test_bench_told_shares_and_design(corpus, tmp_path, capsys):
    from sere_nb.evaluate import make_protocol
    for i, name in enumerate(("aa", "bb")): corpus(clips=2, language=name, name=f"{name}.csv", f0=100+8*i)
    (tmp_path/"p.json").write_text(json.dumps(make_protocol(tmp_path, ["aa", "bb"], shots=2, seeds=[0])))
    go = lambda out, *more: main(["bench", "--protocol", str(tmp_path/"p.json"), "--corpora", str(tmp_path), "--encoder", "acoustic", "--methods", "sere,em+views", "--out", str(tmp_path/out), "-q", *more])
    assert go("a", "--shares", "anger=.7", "--design", "voices") == 0
    about = json.loads((tmp_path/"a"/"bench.json").read_text())
    assert about["shares"] == dict(anger=.7) and about["design"] == [True, False] and "anger 70 %" in (tmp_path/"a"/"summary.md").read_text()
    for word in ("unknown", "estimate"): assert go(word, "--shares", word) == 0 and json.loads((tmp_path/word/"bench.json").read_text())["shares"] == word
    capsys.readouterr()
    assert go("a") == 2 and "other shares and design" in capsys.readouterr().err
    assert go("c", "--shares", "calm=.7") == 2 and "no task has the emotion 'calm'" in capsys.readouterr().err


def test_bench_ablation(corpus, tmp_path, capsys, monkeypatch):
    import sere_nb.evaluate as ev
    everywhere(monkeypatch, "ABLATION", {o: ev.ABLATION[o] for o in ("structure", "+self_organisation", "no_student")})
    for i, name in enumerate(("aa", "bb")): corpus(clips=2, language=name, name=f"{name}.csv", f0=100+8*i)
    protocol = ev.make_protocol(tmp_path, ["aa", "bb"], shots=2, seeds=[0])
    (tmp_path/"p.json").write_text(json.dumps({**protocol, "tasks": protocol["tasks"][:1]}))
    assert main(["bench", "--protocol", str(tmp_path/"p.json"), "--corpora", str(tmp_path), "--encoder", "acoustic", "--methods", "sere", "--ablate", "--out", str(tmp_path/"b"), "-q"]) == 0
    said = capsys.readouterr().out
    assert "What each part brings" in said and "+self_organisation" in said and "sere:no_student" not in said
    assert "## Ablation" in (tmp_path/"b"/"summary.md").read_text()


def test_bench_with_an_encoder_a_language(corpus, tmp_path, capsys):
    """Two random encoders of different widths; the acoustic view is the bridge between them."""
    import torch
    from transformers import WhisperConfig, WhisperModel
    from sere_nb.evaluate import make_protocol, read_results
    for i, (name, width) in enumerate((("narrow", 16), ("wide", 24))):
        torch.manual_seed(i)
        WhisperModel(WhisperConfig(d_model=width, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32,
            max_source_positions=100, vocab_size=12, pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0)).save_pretrained(tmp_path/name)
    for i, name in enumerate(("aa", "bb")): corpus(clips=3, language=name, name=f"{name}.csv", f0=100+8*i)
    (tmp_path/"p.json").write_text(json.dumps(make_protocol(tmp_path, ["aa", "bb"], shots=2, seeds=[0])))
    argv = ["bench", "--protocol", str(tmp_path/"p.json"), "--corpora", str(tmp_path), "--encoder", f"{tmp_path/'narrow'}+acoustic", "--methods", "sere,logistic_regression,jdar", "-q"]
    assert main([*argv, "--encoder-for", f"bb={tmp_path/'wide'}+acoustic", "--out", str(tmp_path/"b")]) == 0
    assert len(read_results(tmp_path/"b"/"results.csv")) == 6
    assert "Encoder aa: narrow+acoustic, bb: wide+acoustic" in (tmp_path/"b"/"summary.md").read_text()
    capsys.readouterr()
    assert main([*argv, "--encoder-for", "zz=acoustic", "--out", str(tmp_path/"z")]) == 2
    one_line(capsys, "no clip is in the language 'zz'", "aa, bb")
    assert main([*argv, "--encoder", str(tmp_path/"narrow"), "--encoder-for", f"bb={tmp_path/'wide'}", "--methods", "sere", "--out", str(tmp_path/"n")]) == 2     # no bridge
    one_line(capsys, "aa→bb: the encoders of the two languages have no view in common", "+acoustic")


def test_demo(tmp_path):
    "In a process of its own, which imports nothing that a demo can do without"
    heavy = "'scipy.stats','sklearn','transformers','umap','numba','matplotlib','plotly','anywidget','ipywidgets','IPython','sere_nb.evaluate','sere_nb.bench'"
    code = f"import sys; from sere_nb.cli import main; done = main(['demo', '--out', {str(tmp_path/'demo')!r}, '-q']); print(done, *{{{heavy}}} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    *told, last = told.splitlines()
    assert last == "0" and any("synthetic" in o for o in told) and str(tmp_path/"demo"/"report.html") in told[-1]
    assert len(pd.read_csv(tmp_path/"demo"/"predictions.csv")) == 120 and json.loads((tmp_path/"demo"/"metrics.json").read_text())["uar"] > 1/6


# ---- kill and go on ----

KILLED = """
import os, signal, sys
from sere_nb import encoder
encoder._CHUNK_S = .5
put, n = encoder.EmbeddingCache.put, 0
def dying(*a, **k):
    global n
    if n == 7: os.kill(os.getpid(), signal.SIGKILL)
    n += 1
    put(*a, **k)
encoder.EmbeddingCache.put = dying
from sere_nb.cli import main
main(sys.argv[1:])
"""


def counted(monkeypatch):
    puts, put = [], encoder.EmbeddingCache.put
    monkeypatch.setattr(encoder.EmbeddingCache, "put", lambda *a: (puts.append(a[2]), put(*a))[1])
    return puts


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_run_goes_on(pair, tmp_path, monkeypatch, capsys):
    argv = ["embed", "--manifest", str(pair[1]), "--encoder", "acoustic", "--cache", str(tmp_path/"c"), "-q"]
    assert subprocess.run([sys.executable, "-c", KILLED, *argv]).returncode == -signal.SIGKILL
    assert len(list((tmp_path/"c").rglob("*.safetensors"))) == 7
    puts = counted(monkeypatch)
    assert main(argv) == 0 and len(puts) == 5
    assert "12 clips" in capsys.readouterr().out


def test_stopped_run_says_what_is_kept(pair, tmp_path, monkeypatch, capsys):
    put = encoder.EmbeddingCache.put
    kept = []
    def stop(*a):
        if len(kept) == 4: raise KeyboardInterrupt
        kept.append(put(*a))
    monkeypatch.setattr(encoder, "_CHUNK_S", .5)
    monkeypatch.setattr(encoder.EmbeddingCache, "put", stop)
    argv = ["embed", "--manifest", str(pair[1]), "--encoder", "acoustic", "--cache", str(tmp_path/"c"), "-q"]
    assert main(argv) == 130
    err = capsys.readouterr().err
    assert f"stays in {tmp_path/'c'}" in err and "goes on from there" in err and "Traceback" not in err
    monkeypatch.setattr(encoder.EmbeddingCache, "put", put)
    puts = counted(monkeypatch)
    assert main(argv) == 0 and len(puts) == 8
