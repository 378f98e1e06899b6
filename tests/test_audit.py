"""An audit: what is said stays, whatever ends the process; what others made is read with care; strangers get nothing."""
import csv
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import browser, complaints, menu, needs_browser, opened, served, until
from conftest import make_corpus

from sere_nb import audit as a
from sere_nb.audit_widget import AuditWidget
from sere_nb.cli import main
from sere_nb.corpora import read_manifest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def run(tmp_path):
    """A folder as `sere run` leaves it, of twelve clips, and the manifest of its target."""
    manifest = make_corpus(tmp_path)
    table = read_manifest(manifest)
    out = tmp_path/"out"
    (out/"model").mkdir(parents=True)
    p = np.where(table.emotion == "anger", .8, .3)+np.arange(len(table))/100
    pd.DataFrame(dict(path=table.path, emotion="", p_anger=p, p_fear=1-p)).to_csv(out/"predictions.csv", index=False)
    (out/"model"/"encoder.json").write_text(json.dumps(dict(target=dict(from_here="../../m.csv"))))
    return out


def audit(run): return a.Audit(run, read_manifest(run.parent/"m.csv"))


def sere(*words, capsys):
    status = main(["audit", *map(str, words)])
    said = capsys.readouterr()
    return status, said.out, said.err


def heard(run, name="heard.csv", keep=slice(None)):
    """Labels of a colleague: the true ones."""
    t = read_manifest(run.parent/"m.csv")[["path", "emotion"]][keep]
    t.to_csv(run.parent/name, index=False)
    return run.parent/name


# ---------------------------------------------------------------- the figures

@pytest.mark.parametrize("lam", [0., .4, 1.])
def test_the_estimate_is_that_of_ppi_py(lam):
    ppi = pytest.importorskip("ppi_py")
    rng = np.random.default_rng(0)
    f_all = rng.random(500)
    y, f = (rng.random(30) < f_all[:30]).astype(float), f_all[:30]
    theirs = ppi.ppi_mean_pointestimate(y, f, f_all, lam=lam)
    assert np.isclose(a.rectified(y, f, f_all, lam), np.ravel(theirs)[0])


def test_wilson_is_that_of_statsmodels():
    from statsmodels.stats.proportion import proportion_confint
    for k in range(21): assert np.allclose(a.wilson(k/20, 20), proportion_confint(k, 20, method="wilson"))


@pytest.mark.parametrize("n", [20, 50])
@pytest.mark.parametrize("even", [True, False])
def test_intervals_hold_the_truth(n, even):
    rng = np.random.default_rng(1)
    p = rng.dirichlet([.4, .4, .4], 900)
    y = np.array([rng.choice(3, p=.7*o+.1) for o in p])     # surer than it should be
    right, top = (y == p.argmax(1)).astype(int), p.max(1)
    place, held = np.argsort(a.spread_order(p)), []
    for _ in range(400):
        at = a.draw_evenly(p, n, rng) if even else rng.choice(900, n, replace=False)
        at = at[np.argsort(place[at])]
        e = a.estimate(right[at], top[at], top, even)
        held.append(e.low <= right.mean() <= e.high)
    assert .92 <= np.mean(held) <= .99


def test_all_heard_is_all_known():
    p = np.random.default_rng(0).dirichlet([1, 1], 30)
    found = a.summary(p, ["joy", "fear"], {i: "joy" for i in range(30)})
    assert found["accuracy"]["low"] == found["accuracy"]["high"] == (p[:, 0] > .5).mean() and found["more"] == 0


@pytest.mark.parametrize("N, n", [(2, 2), (5, 3), (7, 7), (40, 100), (3, 0)])
def test_draws_are_of_different_clips(N, n):
    p = np.random.default_rng(0).dirichlet([1, 1], N)
    for seed in range(20): assert len(set(a.draw_evenly(p, n, np.random.default_rng(seed)))) == min(n, N)


# ---------------------------------------------------------------- what is said stays

def test_it_goes_on_where_it_was(run, capsys):
    first = audit(run)
    first.draw(8, 2)
    first.label(first.names[0], "fear")
    again = audit(run)
    again.draw(8, 2)
    assert again.names == first.names and again.next() == 1
    again.draw(10, 2)
    assert again.names[:8] == first.names and len(again.names) == 10
    again.label(again.names[0], "anger")        # said otherwise
    assert audit(run).rows[first.names[0]][1] == "anger"


def test_a_clip_that_was_picked_keeps_its_chance(run):
    """Else what is drawn later would be surer than the whole."""
    it = audit(run)
    it.draw(5, 3)
    picked = [o for o, (k, _) in it.rows.items() if k == "unsure"]
    for o in picked: it.label(o, "fear")
    it.draw(15, 3)      # all of the twelve
    assert {k for k, _ in it.rows.values()} == {"random"} and all(it.rows[o] == ("random", "fear") for o in picked)
    assert audit(run).rows == it.rows


@pytest.mark.parametrize("seed", [-1, 2**70])
def test_any_seed(run, seed):
    a.Audit(run, read_manifest(run.parent/"m.csv"), seed).draw(6, 1)


def test_more_clips_than_there_are(run):
    it = audit(run)
    it.draw(500, 100)
    assert sorted(it.names) == sorted(it.run.names)


KILLED = """
import sys
from pathlib import Path
from sere_nb.audit import Audit
from sere_nb.corpora import read_manifest
run = Path(sys.argv[1])
it = Audit(run, read_manifest(run.parent/"m.csv"))
it.draw(10, 2)
for i in range(10**6):
    it.label(it.names[i%10], ("anger", "fear")[i%2])
    print(i, flush=True)
"""


def test_a_killed_process_loses_nothing(run):
    it = subprocess.Popen([sys.executable, "-c", KILLED, str(run)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    last = next(i for i in map(int, it.stdout) if i >= 12)
    it.send_signal(signal.SIGKILL)
    it.wait()
    it.stdout.close()
    rows = audit(run).rows
    assert len(rows) == 10 and all(e for _, e in rows.values())
    lines = list(csv.reader((run/"audit.csv").open()))
    assert len(lines) >= 1+10+last+1


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_a_torn_line_is_taken_away(run, cut):
    it = audit(run)
    it.draw(6, 1)
    it.label(it.names[0], "fear")
    whole = (run/"audit.csv").read_bytes()
    (run/"audit.csv").write_bytes(whole[:-cut])
    rows = audit(run).rows
    assert len(rows) == 6 and not any(e for _, e in rows.values())


def test_a_list_of_somebody_stays(run, capsys):
    (run/"audit.csv").write_text("mine\n")
    status, _, err = sere(run, "--labels", heard(run), capsys=capsys)
    assert status == 2 and "nothing says that sere wrote it" in err and err.count("\n") == 1
    assert (run/"audit.csv").read_text() == "mine\n"


@pytest.mark.parametrize("edit", [lambda t: t.replace(",fear\n", ",Angst\n"), lambda t: t.replace(",", ";"), lambda t: "\ufeff"+t, lambda t: t.replace("\n", "\r\n"),
                                  lambda t: t+"\n\n"])
def test_an_edited_list_can_be_handed_back(run, edit, capsys):
    """What somebody heard is not lost because a spreadsheet saved it, nor which clips were drawn by chance."""
    first = audit(run)
    first.draw(8, 2)
    for i, o in enumerate(first.names[:7]): first.label(o, ("anger", "fear", "?")[i%3])
    was = first.rows
    text = edit((run/"audit.csv").read_text())
    (run/"audit.csv").write_text(text, newline="")
    before = (run/"audit.csv").read_bytes()
    status, _, err = sere(run, "--terminal", capsys=capsys)
    assert status == 2 and err.count("\n") == 1 and "has been changed since sere wrote it. It stays as it is" in err and "--labels NAME.csv" in err
    assert (run/"audit.csv").read_bytes() == before
    (run/"audit.csv").rename(run/"mine.csv")
    status, out, _ = sere(run, "--labels", run/"mine.csv", capsys=capsys)
    assert status == 0 and "drawn by chance" in out and audit(run).rows == was
    assert (run/"mine.csv").read_bytes() == before


def test_labels_of_clips_that_were_not_drawn_are_told_apart(run, capsys):
    first = audit(run)
    first.draw(4, 1)
    status, out, _ = sere(run, "--labels", heard(run), capsys=capsys)
    assert status == 0 and "12 labels taken. 8 clips of those that have one by now were not drawn by chance" in out and "3 of 12 clips" in out


def test_names_with_anything_in_them(tmp_path):
    names = ['a,b.wav', 'a"b.wav', 'two\nlines.wav', 'é 😀.wav', 'x.wav#t=1.25,2', 'x.wav#t=0,1&channel=2']
    book = a.Book(tmp_path)
    for o in names: book.add(o, "random", "fear")
    assert list(a.Book(tmp_path).rows) == names


def test_threads_do_not_mix_lines(tmp_path):
    book = a.Book(tmp_path)
    some = [threading.Thread(target=lambda i=i: [book.add(f"{i}-{j}.wav", "random", "fear") for j in range(8)]) for i in range(4)]
    for o in some: o.start()
    for o in some: o.join()
    assert len(a.Book(tmp_path).rows) == 32


# ---------------------------------------------------------------- the command

def test_labels_from_elsewhere(run, capsys):
    status, out, _ = sere(run, "--labels", heard(run), "--teach", run.parent/"t.csv", capsys=capsys)
    assert status == 0 and "12 of 12 clips" in out and "--taught" in out
    assert json.loads((run/"audit.json").read_text())["accuracy"]["worth"] == 12
    taught = read_manifest(run.parent/"t.csv")
    assert len(taught) == 12 and dict(zip(taught.file, taught.emotion)) == dict(zip(*(read_manifest(run.parent/"m.csv")[o] for o in ("file", "emotion"))))


def test_what_was_taught_is_no_part_of_it(run, capsys):
    t = pd.read_csv(run/"predictions.csv").assign(taught=["fear"]*5+[""]*7)
    t.to_csv(run/"predictions.csv", index=False)
    status, out, _ = sere(run, "--labels", heard(run), capsys=capsys)
    assert status == 0 and "7 of 7 clips" in out and len(audit(run).rows) == 7


def test_run_with_taught_clips(tmp_path, capsys):
    (tmp_path/"a").mkdir()
    (tmp_path/"b").mkdir()
    source, target = make_corpus(tmp_path/"a", language="aa"), make_corpus(tmp_path/"b", language="bb", f0=140)
    t = read_manifest(target)
    t[["file", "emotion"]].rename(columns=dict(file="path"))[3:7].to_csv(tmp_path/"t.csv", index=False)
    words = ["run", "--source", source, "--target", target, "--shots", 2, "--taught", tmp_path/"t.csv", "--map", "pca", "--no-audio", "-q", "--cache", tmp_path/"cache", "--out", tmp_path/"out"]
    assert main(list(map(str, words))) == 0
    p = pd.read_csv(tmp_path/"out"/"predictions.csv", keep_default_na=False)
    assert list(p.taught) == [""]*3+list(t.emotion[3:7])+[""]*5
    assert json.loads((tmp_path/"out"/"metrics.json").read_text())["n_clips"] == 8
    capsys.readouterr()
    status, out, _ = sere(tmp_path/"out", "--labels", target, capsys=capsys)      # finds the target itself
    assert status == 0 and "8 of 8 clips" in out


@pytest.mark.parametrize("text", ["", "\0\0", "path,p_a\nx,1\n", "path,p_a,p_b\nx,1,0\n", "path,p_a,p_b\nx,1,0\ny,a,0\n", "path,p_a,p_b\nx,1,0\ny,nan,0\n",
    "path,p_a,p_b\nx,1,0\ny,9,-8\n", "path,p_a,p_b\nx,1,0\nx,1,0\n", "path,start_s,end_s,p_a,p_b\nx,no,1,1,0\ny,1,2,1,0\n", "path,p_a,p_b\nx,1,0\ny,1e999,0\n", 'path,p_a,p_b\n"x,1,0\n'])
def test_predictions_that_are_none(run, text, capsys):
    (run/"predictions.csv").write_text(text)
    status, out, err = sere(run, "--labels", heard(run), capsys=capsys)
    assert status == 2 and not out and err.count("\n") == 1 and "predictions.csv" in err


@pytest.mark.parametrize("text", ["", "path\nx\n", "path,emotion\nxx/none.wav,fear\n", "emotion,path\nfear,/etc/passwd\n", "\xff\xfe\n"])
def test_labels_that_are_none(run, text, capsys):
    (run.parent/"bad.csv").write_bytes(text.encode("latin-1"))
    status, _, err = sere(run, "--labels", run.parent/"bad.csv", capsys=capsys)
    assert status == 2 and err.count("\n") == 1 and not (run/"audit.csv").exists()


@pytest.mark.parametrize("words, says", [(["--clips", "3", "--unsure", "2", "--terminal"], "--clips"), (["--clips", "0"], "whole number"), (["--port", "99999", "--no-open"], "--port"),
    (["--target", "none.csv"], "none.csv"), (["--teach", "out/predictions.csv", "--labels", "heard.csv"], "reads that file"), (["--teach", "m.csv", "--labels", "heard.csv"], "m.csv"),
    (["--teach", "out/audit.csv", "--labels", "heard.csv"], "audit.csv")])
def test_wrong_use_is_one_line(run, words, says, capsys, monkeypatch):
    monkeypatch.chdir(run.parent)
    heard(run)
    before = (run.parent/"m.csv").read_bytes(), (run/"predictions.csv").read_bytes()
    status, _, err = sere(run, *words, capsys=capsys)
    assert status == 2 and says in err and err.count("\n") == 1
    assert before == ((run.parent/"m.csv").read_bytes(), (run/"predictions.csv").read_bytes())


@pytest.mark.parametrize("told", [None, 5, [], {}, {"from_here": 7}, {"from_here": "/etc"}, {"from_here": "//host/share/x.csv"}, {"from_here": "../../gone.csv"}])
def test_a_pointer_to_the_target_is_not_believed(run, told, capsys):
    (run/"model"/"encoder.json").write_text(json.dumps(dict(target=told)))
    status, _, err = sere(run, "--labels", heard(run), capsys=capsys)
    assert status == 2 and "--target" in err


def test_from_the_keyboard(run, capsys, monkeypatch):
    keys = iter("1 2 ? 3 b 1 q".split())
    monkeypatch.setattr("builtins.input", lambda prompt: next(keys))
    monkeypatch.setattr(a.shutil, "which", lambda name: None)
    status, out, _ = sere(run, "--terminal", "--clips", "8", capsys=capsys)
    said = [e for _, e in audit(run).rows.values()]
    assert status == 0 and said == ["anger", "fear", "?", "anger", "", "", "", ""] and "No player" in out


# ---------------------------------------------------------------- the page

@pytest.fixture
def desk(run):
    it = audit(run)
    it.draw(6, 1)
    desk = a.Desk(it)
    t = threading.Thread(target=desk.serve, daemon=True)
    t.start()
    yield desk
    desk.stop()
    t.join(5)


def ask(url, data=None, **headers):
    """(status, what came) of a request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as r: return r.status, r.read()
    except urllib.error.HTTPError as e: return e.code, e.read()


def test_the_page_gives_only_what_is_asked_about(desk):
    assert ask(desk.url)[0] == 200 and json.loads(ask(desk.url+"state")[1])["at"] == 0
    assert [ask(f"{desk.url}sound/{i}")[0] for i in range(8)] == [200]*6+[404]*2
    assert ask(f"{desk.url}sound/0")[1][:4] == b"RIFF"
    for o in ("sound/-1", "sound/0/../1", "sound/01234567", "../predictions.csv", "predictions.csv", "..%2f..%2fm.csv", "app.js", "audit.csv", "%00"):
        assert ask(desk.url+o)[0] == 404, o


def test_strangers_get_nothing(desk):
    for o in ("", "x/", "x/state", "favicon.ico", desk.word[:-1]+"/state", desk.word+"x/", desk.word.upper()+"/", "%F0%9F%98%80/"):
        assert ask(f"{desk.origin}/{o}")[0] == 404, o
    assert ask(desk.url+"state", Host="evil.example")[0] == 404
    body = json.dumps(dict(clip=0, emotion="fear")).encode()
    assert ask(desk.url+"label", body, Origin="http://evil.example")[0] == 404
    assert ask(f"{desk.origin}/x/label", body)[0] == 404 and desk.audit.next() == 0
    assert ask(desk.url+"label", body, Origin=desk.origin)[0] == 200 and desk.audit.next() == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"clip":0}', b'{"clip":99,"emotion":"fear"}', b'{"clip":true,"emotion":"fear"}', b'{"clip":-1,"emotion":"fear"}',
    b'{"clip":0,"emotion":"x"}', b'{"clip":0,"emotion":["fear"]}', b"["*9000, b"\xff\xfe"])
def test_what_is_no_label_is_not_kept(desk, body):
    status, said = ask(desk.url+"label", body)
    assert status == 400 and json.loads(said)["error"] and desk.audit.next() == 0
    assert ask(desk.url+"label", b" "*20_000)[0] == 404


def test_the_answer_of_the_model_is_hidden(desk):
    clip = json.loads(ask(desk.url+"state")[1])["clips"][0]
    assert clip == dict(name="", said="", model=None)
    ask(desk.url+"label", b'{"clip":0,"emotion":"fear"}')
    clip = json.loads(ask(desk.url+"state")[1])["clips"][0]
    assert clip["said"] == "fear" and clip["model"]["emotion"] in ("anger", "fear") and clip["name"].endswith(".wav")


@needs_browser
def test_three_clips_on_the_page_then_on(desk):
    from selenium.webdriver.common.by import By
    done = lambda b: b.execute_script("return document.querySelector('progress')?.value")
    with browser() as b:
        b.get(desk.url)
        until(b, "return document.querySelector('.main')").click()
        for i, key in enumerate("12?"):
            until(b, f"return document.querySelector('.dim')?.textContent=='Clip {i+1} of 6'")
            b.find_element(By.TAG_NAME, "body").send_keys(key)
        until(b, "return document.querySelector('.dim').textContent=='Clip 4 of 6'")
        assert done(b) == 3 and "The model:" in b.find_element(By.CLASS_NAME, "note").text
        b.refresh()
        until(b, "return document.querySelector('.main')").click()
        until(b, "return document.querySelector('.dim').textContent=='Clip 4 of 6'")
        until(b, "return document.querySelector('audio').duration>0")
        b.find_element(By.TAG_NAME, "body").send_keys("b")
        until(b, "return document.querySelector('[aria-pressed=true]')?.textContent=='?cannot tell'")
        for i in range(3, 7):
            until(b, f"return document.querySelector('.dim')?.textContent=='Clip {i} of 6'")
            b.find_element(By.TAG_NAME, "body").send_keys("2")
        until(b, "return document.querySelector('table')")
        assert not complaints(b)
    said = [e for _, e in audit(desk.audit.folder).rows.values()]
    assert said == ["anger"]+["fear"]*5


# ---------------------------------------------------------------- in a notebook

def widget(run, draw=True):
    """The widget of an audit, and what it says."""
    it, told = audit(run), []
    if draw: it.draw(6, 1)
    w = AuditWidget(it)
    w.send = lambda o, buffers: told.append((o, buffers))
    def ask(**o):
        w._hear(w, o, [])
        return told[-1]
    return w, ask


def test_a_widget_gives_only_what_is_asked_about(run):
    w, ask = widget(run)
    told, (sound,) = ask(do="sound", clip=5, id="a-1")
    assert told == dict(id="a-1") and bytes(sound[:4]) == b"RIFF"
    for clip in (6, -1, True, "0", None, 1.0, 10**9, [0]):
        assert ask(do="sound", clip=clip, id="a-2") == (dict(error="no label", id="a-2"), [])
    for o in (dict(), dict(do="run"), dict(do=["label"])): assert "nothing that can be asked for" in ask(**o)[0]["error"]
    Path(w.audit.where[w.audit.names[0]]).write_bytes(b"no sound")
    told, buffers = ask(do="sound", clip=0, id="a-3")
    assert told["error"] and "\n" not in told["error"] and buffers == []


def test_a_widget_keeps_each_label_at_once_and_goes_on(run):
    w, ask = widget(run)
    told, _ = ask(do="label", clip=0, emotion="fear", id="a-1")
    assert told["id"] == "a-1" and told["state"] == w._state and w._state["at"] == 1
    assert (run/"audit.csv").read_text().endswith(",random,fear\n") or (run/"audit.csv").read_text().endswith(",unsure,fear\n")
    for emotion in ("joy", None, ["fear"], 1): assert ask(do="label", clip=1, emotion=emotion)[0]["error"] == "no label"
    again, ask = widget(run, draw=False)        # the kernel was started anew
    assert again._state == w._state and again._state["clips"][0]["said"] == "fear"
    for i in range(6): ask(do="label", clip=i, emotion="?" if i == 2 else "anger")
    assert again._state["at"] == 6 and again._state["lines"] and "6 of 6" in repr(again)
    told, _ = ask(do="end")
    assert "audit.json" in told["text"] and json.loads((run/"audit.json").read_text())["cannot_tell"] == 1


def test_a_widget_writes_over_nothing(run):
    w, ask = widget(run)
    (run/"audit.json").write_text("mine")
    for i in range(6): ask(do="label", clip=i, emotion="anger")
    assert "nothing says that sere wrote it" in ask(do="end")[0]["error"] and (run/"audit.json").read_text() == "mine"
    book = (run/"audit.csv").read_text()+"c.wav,,,,random,joy\n"
    (run/"audit.csv").write_text(book)
    told, _ = ask(do="label", clip=3, emotion="fear")
    assert "has been changed since sere wrote it" in told["error"] and (run/"audit.csv").read_text() == book
    assert w.audit.rows[w.audit.names[3]][1] == "anger"


def test_the_answer_of_the_model_is_hidden_from_a_widget(run):
    w, ask = widget(run)
    ask(do="label", clip=1, emotion="fear")
    sent = w.get_state()
    said = [o for i, o in enumerate(sent["_state"]["clips"]) if i != 1]
    assert said == [dict(name="", said="", model=None)]*5 and sent["_state"]["clips"][1]["model"]
    names = {Path(o).name for i, o in enumerate(w.audit.names) if i != 1}
    told = json.dumps({k: v for k, v in sent.items() if k not in ("layout", "_esm", "_css")})+str(w._repr_mimebundle_())
    assert not any(o in told for o in names)
    assert w._state["lines"] == [] and "p_anger" not in told


def test_a_widget_needs_clips_and_anywidget(run, monkeypatch):
    with pytest.raises(a.AuditError, match="Draw some first"): AuditWidget(audit(run))
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "sere_nb.audit_widget")
    with pytest.raises(ImportError) as told: importlib.import_module("sere_nb.audit_widget")
    assert str(told.value) == "An audit in a notebook needs anywidget: pip install anywidget. Without it, sere audit asks on a page, or by keys (--terminal)."


def test_a_widget_where_no_kernel_is(run):
    """A notebook that was executed without a browser tells how far it is, and at the end what was found."""
    import nbformat
    from nbconvert import HTMLExporter
    exporter = HTMLExporter(template_name="basic")
    def page():
        data, _ = AuditWidget(audit(run))._repr_mimebundle_()
        cell = nbformat.v4.new_code_cell("AuditWidget(audit)", outputs=[nbformat.v4.new_output("execute_result", data)])
        return exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))[0]
    w, ask = widget(run)
    for i in range(5): ask(do="label", clip=i, emotion="anger")
    begun = page()
    assert "5 of 6 clips have a label" in begun and "<td>accuracy</td>" not in begun
    ask(do="label", clip=5, emotion="anger")
    done = page()
    assert "6 of 6 clips have a label" in done and "<td>accuracy</td>" in done


@needs_browser
def test_an_audit_in_jupyterlab(run, tmp_path):
    audit(run).draw(4, 1)
    source = f"from sere_nb.audit_widget import Audit,AuditWidget\nfrom sere_nb.corpora import read_manifest\nAuditWidget(Audit({str(run)!r}, read_manifest({str(run.parent/'m.csv')!r})))"
    cell = dict(cell_type="code", id="one", metadata={}, source=source)
    home = tmp_path/"lab"
    home.mkdir()
    clip = lambda b, i: until(b, f"return document.querySelector('.sere-audit .dim')?.textContent == 'Clip {i} of 4'", 20, f"clip {i}")
    said = lambda: [e for _, e in audit(run).rows.values()]
    with served(home, dict(cells=[cell], metadata=dict(kernelspec=dict(name="python3", display_name="Python 3", language="python")), nbformat=4, nbformat_minor=5)) as url, browser(1280, 1000) as b:
        opened(b, url)
        menu(b, "Run", "Run All Cells")
        until(b, "return document.querySelector('.sere-audit .main')", what="the widget").click()
        until(b, "return document.querySelector('.sere-audit audio').duration > 0", what="its sound")
        press = lambda key: b.switch_to.active_element.send_keys(key)
        clip(b, 1)
        for key in "x8a": press(key)        # what JupyterLab would cut, turn into a heading, add
        press("2")
        clip(b, 2)
        assert said() == ["fear", "", "", ""] and "The model:" in b.find_element("css selector", ".sere-audit .note").text
        press("b")
        until(b, "return document.querySelector('.sere-audit [aria-pressed=true]')?.textContent == '2fear'")
        press("1")
        clip(b, 2)
        b.find_element("css selector", ".sere-audit .answers button:last-child").click()
        clip(b, 3)
        assert b.execute_script("return document.querySelectorAll('.jp-Cell').length") == 1 and said() == ["anger", "?", "", ""]
        b.find_element("css selector", ".jp-Cell .jp-InputPrompt").click()
        menu(b, "Run", "Run All Cells")     # it goes on
        until(b, "return [...document.querySelectorAll('.sere-audit p')].some(o => o.textContent.startsWith('2 of 4 clips are left'))")
        until(b, "return document.querySelector('.sere-audit .main')").click()
        for i in (3, 4):
            clip(b, i)
            press("1")
        until(b, "return document.querySelector('.sere-audit table')")
        b.find_element("css selector", ".sere-audit .main").click()
        until(b, "return document.querySelector('.sere-audit .note').textContent.startsWith('Kept in')")
        assert complaints(b) == []
    assert said() == ["anger", "?", "anger", "anger"] and (run/"audit.json").is_file()
