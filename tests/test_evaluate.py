"What a notebook would make ugly: scores against scikit-learn, labels that try to leak, a bench that is killed, protocols that do not fit"
import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

import sere_nb.evaluate as ev
from sere_nb.encoder import Embeddings, Frames
from sere_nb.evaluate import *

NAMES = ["anger", "fear", "joy"]


# ---- scores ----

pairs = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=40)

@given(pairs)
@settings(max_examples=60, deadline=None)
def test_scores_agree_with_sklearn(pairs):
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score
    truth, said = map(list, zip(*pairs))
    assert uar(truth, said) == pytest.approx(recall_score(truth, said, labels=sorted(set(truth)), average="macro"))
    assert wa(truth, said) == pytest.approx(accuracy_score(truth, said))
    assert macro_f1(truth, said) == pytest.approx(f1_score(truth, said, average="macro", zero_division=0))
    assert (confusion(truth, said, NAMES).to_numpy() == confusion_matrix(truth, said, labels=NAMES)).all()
    low, high = bootstrap_ci(truth, said, n=50)
    assert 0 <= low <= high <= 1


def test_order_of_clips_and_unlabelled_clips_change_nothing():
    rng = np.random.default_rng(0)
    truth, said = rng.choice(NAMES, 50), rng.choice(NAMES, 50)
    p = rng.permutation(50)
    assert scores(truth, said) == scores(truth[p], said[p])
    assert scores([*truth, "", None, float("nan")], [*said, *NAMES]) == scores(truth, said)


def test_interval_is_about_as_wide_as_theory_says():
    truth = np.array(["anger"]*200 + ["fear"]*200)
    said = np.array(["anger"]*120 + ["fear"]*80 + ["fear"]*160 + ["anger"]*40)
    low, high = bootstrap_ci(truth, said, n=8000)
    sd = ((.6*.4/200 + .8*.2/200)/4)**.5
    assert high-low == pytest.approx(2*1.96*sd, rel=.06)
    assert (low+high)/2 == pytest.approx(uar(truth, said), abs=.005)


def test_stratified_resamples_keep_the_number_of_each_emotion():
    counts = np.array([[3, 1, 0], [0, 0, 0], [2, 0, 9]])
    rng = np.random.default_rng(0)
    assert (ev._resampled(counts, 30, rng, True).sum(-1) == counts.sum(-1)).all()
    free = ev._resampled(counts, 30, rng, False)
    assert (free.sum((1, 2)) == 15).all() and len(np.unique(free.sum(-1), axis=0)) > 1


@pytest.mark.parametrize("work, says", [
    (lambda: uar([], []), "no clip has a label"),
    (lambda: uar(["fear"], []), "1 labels, but 0 predictions"),
    (lambda: confusion(["fear"], ["joy"], ["fear"]), "'joy' is not among fear"),
])
def test_scores_of_nothing(work, says):
    with pytest.raises(ValueError, match=says): work()


# ---- a little world: three corpora whose "sound" is a noisy point for each emotion ----

def manifest(folder, name, emotions=NAMES, clips=6, speakers=2):
    lines = ["path,language,speaker,emotion,raw_emotion,gender"]
    lines += [f"{name}/{s}_{e}_{i}.wav,{name[:2]},{name}_{s},{e},{e.upper()},f" for e in emotions for s in range(speakers) for i in range(clips)]
    (folder/f"{name}.csv").write_text("\n".join(lines)+"\n", encoding="utf-8")


def fake_embed(table, encoder=None, cache=None, progress=True):
    import hashlib
    rng = np.random.default_rng(len(table))
    angle = np.array([2*np.pi*NAMES.index(e)/3 if e in NAMES else 9. for e in table.emotion])
    x = np.stack([np.cos(angle), np.sin(angle)], 1) + .3*rng.standard_normal((len(table), 2)) + 5*table.language.map(len).to_numpy()[:, None]
    table = table.reset_index(drop=True).assign(start_s=0., seconds=1., key=[hashlib.sha256(p.encode()).hexdigest() for p in table.path])
    frames = Frames(torch.tensor(x).half(), torch.arange(len(table)+1), 0.)
    return Embeddings(table, {"sound": frames})


@pytest.fixture
def world(tmp_path, monkeypatch):
    "(folder of manifests, protocol)"
    for name in ("xa", "yb"): manifest(tmp_path, name)
    monkeypatch.setattr(ev, "embed", fake_embed)
    return tmp_path, make_protocol(tmp_path, ["xa", "yb"], shots=2, seeds=range(2), name="little")


def run(world, methods, **kw): return bench(world[1], world[0], "acoustic", methods, progress=False, **kw)


class Spy:
    "A method that keeps all that it is given, and answers with the first emotion"
    def __init__(self): self.seen = []
    def __call__(self, shots, unlabelled, *, seed, speakers, shared):
        self.seen.append(dict(shots=shots, unlabelled=unlabelled, seed=seed, speakers=speakers, shared=shared))
        return np.full(len(unlabelled), shots.table.emotion.min())


def texts(thing, deep=6):
    "All text that can be reached from an object"
    if isinstance(thing, str): yield thing
    elif isinstance(thing, pd.DataFrame):
        yield from map(str, thing.columns)
        yield from map(str, thing.to_numpy().ravel())
        yield from texts(thing.attrs)
    elif isinstance(thing, np.ndarray) and thing.dtype.kind in "OU": yield from map(str, thing.ravel())
    elif isinstance(thing, dict):
        for k, v in thing.items(): yield from texts(k); yield from texts(v)
    elif isinstance(thing, (list, tuple, set)):
        for o in thing: yield from texts(o)
    elif hasattr(thing, "__dict__") and deep: yield from (t for v in vars(thing).values() for t in texts(v, deep-1))


def test_no_label_can_be_reached_by_a_method(world, monkeypatch):
    spy = Spy()
    monkeypatch.setitem(METHODS, "spy", spy)
    run(world, "spy")
    assert len(spy.seen) == 4
    for seen in spy.seen:
        assert list(seen["shots"].table.emotion.value_counts()) == [2, 2, 2]
        assert "emotion" not in seen["unlabelled"].table and "emotion" not in seen["shared"].clips.table
        reached = " ".join(texts({k: v for k, v in seen.items() if k != "shots"})).lower()
        assert not [w for w in (*NAMES, "raw_emotion") if w in reached]
        for of in ("shots", "unlabelled"): assert set(seen[of].table) - {"emotion"} <= set(ev._SEEN)


def test_order_of_the_clips_tells_nothing(world, monkeypatch):
    "Manifests are sorted by emotion; what a method gets is sorted by the hash of the sound"
    spy = Spy()
    monkeypatch.setitem(METHODS, "spy", spy)
    run(world, "spy", seeds=0)
    for seen in spy.seen:
        for corpus in ("xa", "yb"):
            keys = seen["shared"].clips.table.query("corpus==@corpus").key.tolist()
            assert keys == sorted(keys)


def test_target_and_source_labels_change_no_prediction(world, monkeypatch):
    "Other labels on all clips but the shots: the same predictions from every method that does not ask for source labels"
    folder, protocol = world
    made = {}
    def keeping(name, method):
        def kept(*args, **kw):
            made.setdefault(name, []).append(method(*args, **kw))
            return made[name][-1]
        return kept
    honest = [m for m in METHODS if m != "sere" and not sees_source_labels(METHODS[m])]
    for m in honest: monkeypatch.setitem(METHODS, m, keeping(m, METHODS[m]))
    sound = {n: fake_embed(ev.read_manifest(folder/f"{n}.csv")) for n in ("xa", "yb")}     # from the true labels, before they are shuffled
    def same_sound(table, **kw):
        e = sound[table.path.iloc[0][:2]]
        return Embeddings(e.table.assign(emotion=table.emotion), e.views)
    monkeypatch.setattr(ev, "embed", same_sound)
    protocol = {**protocol, "tasks": protocol["tasks"][:1]}
    run((folder, protocol), honest)
    before, made = made, {}
    shots = {p for s in protocol["tasks"][0]["shots"].values() for p in s}
    for name in ("xa", "yb"):
        t = pd.read_csv(folder/f"{name}.csv")
        free = ~t.path.isin(shots)
        t.loc[free, "emotion"] = np.random.default_rng(1).permutation(t.emotion[free])
        t.to_csv(folder/f"{name}.csv", index=False)
    run((folder, protocol), honest)
    for m in honest:
        for a, b in zip(before[m], made[m]): assert (a == b).all()


def test_only_who_asks_gets_source_labels_and_never_those_of_the_target(world, monkeypatch):
    given_to = []
    def asks(shots, unlabelled, *, seed, speakers, shared, source_labels):
        given_to.append((unlabelled.table.corpus.to_numpy(), source_labels, shots))
        return np.full(len(unlabelled), "fear")
    monkeypatch.setitem(METHODS, "asks", asks)
    run(world, "asks")
    for (corpus, labels, shots), source in zip(given_to, ["xa", "xa", "yb", "yb"]):
        assert set(labels[corpus != source]) == {""} and (corpus != source).sum() == 36
        assert set(labels[corpus == source]) == set(NAMES) and (corpus == source).sum() == 30
    assert [m for m in METHODS if sees_source_labels(METHODS[m])] == ["full_labels", "asks"]


def test_speakers_are_kept_from_methods_that_must_not_know(world, monkeypatch):
    spy = Spy()
    monkeypatch.setitem(METHODS, "spy", spy)
    run(world, "spy", speakers=False, seeds=0)
    run(world, "spy", seeds=0)
    assert [set(s["unlabelled"].table.speaker) for s in spy.seen] == [{""}]*2 + [{f"{c}_{i}" for c in ("xa", "yb") for i in (0, 1)}]*2
    assert [s["speakers"] for s in spy.seen] == [False, False, True, True]


def test_baselines_on_an_easy_task(world):
    r = run(world, [m for m in METHODS if m != "sere"])
    assert (r.groupby("method").uar.mean() > .8).all()
    assert r.n_classes.eq(3).all() and list(r) == COLUMNS
    again = run(world, [m for m in METHODS if m != "sere"])
    assert r.drop(columns="fit_s").equals(again.drop(columns="fit_s"))


def test_preparation_is_billed_to_every_fit_that_uses_it(world, monkeypatch):
    import time
    def slow(shots, unlabelled, *, seed, speakers, shared):
        shared.once("slow", lambda: time.sleep(.2))
        shared.once("slow", lambda: time.sleep(.2))
        return np.full(len(unlabelled), "fear")
    monkeypatch.setitem(METHODS, "slow", slow)
    monkeypatch.setitem(METHODS, "spy", Spy())
    r = run(world, "slow,spy").groupby("method").fit_s
    assert r.min()["slow"] > .19 and r.max()["slow"] < .39 and r.max()["spy"] < .1


def test_ablation_runs_variants_of_sere(world, monkeypatch):
    asked = []
    def fake(shots, unlabelled, *, seed, speakers, shared, **kw):
        asked.append(kw)
        return np.full(len(unlabelled), "fear" if kw else "anger")
    monkeypatch.setattr(ev, "sere", fake)
    monkeypatch.setitem(METHODS, "sere", fake)
    monkeypatch.setattr(ev, "ABLATION", {"no highlights": dict(highlights=False)})
    r = run(world, "sere", seeds=0, ablate=True, out=world[0]/"out")
    assert set(r.method) == {"sere", "sere:no highlights"} and dict(highlights=False) in asked and {} in asked
    assert "## Ablation" in (world[0]/"out"/"summary.md").read_text()


# ---- killed, and gone on ----

def test_a_killed_bench_goes_on_where_it_stopped(world, monkeypatch):
    out, calls = world[0]/"out", []
    def dies_third(shots, unlabelled, *, seed, speakers, shared):
        calls.append(seed)
        if len(calls) == 3: raise KeyboardInterrupt
        return np.full(len(unlabelled), "fear")
    monkeypatch.setitem(METHODS, "dies", dies_third)
    with pytest.raises(KeyboardInterrupt): run(world, "dies", out=out)
    assert len(read_results(out/"results.csv")) == 2
    with open(out/"results.csv", "a") as f: f.write("dies,yb,xa,0,3,0.33")
    r = run(world, "dies", out=out)
    assert len(calls) == 5 and len(r) == 4
    run(world, "dies", out=out)
    assert len(calls) == 5
    text = (out/"results.csv").read_text().splitlines()
    assert text[0] == "method,source,target,seed,n_classes,uar,wa,macro_f1,fit_s" and len(text) == 5
    run(world, "logistic_regression", seeds=0, out=out)     # another method joins
    assert len(read_results(out/"results.csv")) == 6


def test_results_of_other_settings_are_not_mixed(world):
    out = world[0]/"out"
    run(world, "nearest_prototype", seeds=0, out=out)
    with pytest.raises(BenchError, match="other speakers"): run(world, "nearest_prototype", seeds=0, speakers=False, out=out)
    other = json.loads(json.dumps(world[1]))
    other["tasks"][0]["shots"]["0"].reverse()
    with pytest.raises(BenchError, match="other protocol"): bench(other, world[0], "acoustic", "nearest_prototype", 0, out=out, progress=False)
    manifest(world[0], "yb", clips=7)
    with pytest.raises(BenchError, match="other corpora"): run(world, "nearest_prototype", seeds=1, out=out)
    (out/"bench.json").unlink()
    with pytest.raises(BenchError, match="bench.json"): run(world, "nearest_prototype", seeds=0, out=out)


def test_files_for_people(world):
    out = world[0]/"out"
    r = run(world, "nearest_prototype,full_labels", out=out)
    text, page = (out/"summary.md").read_text(encoding="utf-8"), (out/"heatmap.html").read_text(encoding="utf-8")
    assert f"**{100*r[r.method=='full_labels'].uar.mean():.1f}**" in text and "little" in text
    assert 'src="http' not in page and "nearest_prototype" in page and len(page) > 1_000_000     # plotly is inside
    plot_heatmap(r)


# ---- what does not fit ----

def spoil(p, task=0, **kw):
    p = json.loads(json.dumps(p))
    p["tasks"][task].update(kw)
    return p

@pytest.mark.parametrize("change, says", [
    (lambda p: {}, "no list 'tasks'"),
    (lambda p: {"tasks": ["xa"]}, "task 1: 'source' is missing"),
    (lambda p: spoil(p, emotions=[]), "task 1: 'emotions' is missing, empty"),
    (lambda p: spoil(p, source="nowhere"), "nowhere→yb: corpus nowhere has no manifest"),
    (lambda p: spoil(p, emotions=[*NAMES, "calm"]), "xa→yb: no clip of xa carries 'calm'"),
    (lambda p: spoil(p, emotions=NAMES[:2]), "carries 'joy', which is not among the task's emotions"),
    (lambda p: spoil(p, shots={"0": ["xa/0_fear_9.wav"]}), "xa→yb, seed 0: shot xa/0_fear_9.wav is not in xa"),
    (lambda p: spoil(p, shots={"0": ["xa/0_fear_1.wav"]*6}), "seed 0: 0 different shots of 'anger' in xa, but 2 are promised"),
    (lambda p: spoil(p, shots={"first": []}), "seed 'first' is not a whole number"),
    (lambda p: spoil(p, shots={"1": p["tasks"][0]["shots"]["1"]}), "xa→yb: no shots for seed 0"),
    (lambda p: {**p, "tasks": p["tasks"][:1]*2}, "xa→yb: the task is there twice"),
])
def test_protocols_that_do_not_fit(world, change, says):
    with pytest.raises(ProtocolError) as e: bench(change(world[1]), world[0], "acoustic", "nearest_prototype", seeds="0-1", progress=False)
    assert says in str(e.value) and "\n" not in str(e.value)


def test_protocol_files_that_cannot_be_read(tmp_path):
    for name, text in (("broken.json", "{"), ("list.json", "[]"), ("binary.json", "\udcff")):
        (tmp_path/name).write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(ProtocolError, match=name): read_protocol(tmp_path/name)
    for there in ("missing.json", ""):
        with pytest.raises(ProtocolError, match="no such protocol"): read_protocol(tmp_path/there)


@pytest.mark.parametrize("kw, says", [
    (dict(methods="magic"), "no method 'magic'"),
    (dict(methods=[]), "no method"),
    (dict(methods="sere:nothing"), "no method 'sere:nothing'"),
    (dict(methods="nearest_prototype", seeds="few"), "seeds 'few'"),
    (dict(methods="nearest_prototype", seeds="3-1"), "seeds '3-1'"),
    (dict(methods="nearest_prototype", seeds=5), "no shots for seed 5"),
])
def test_wrong_use(world, kw, says):
    with pytest.raises(BenchError, match=says): bench(world[1], world[0], "acoustic", progress=False, **kw)


def test_results_cannot_be_written(world):
    (world[0]/"file").touch()
    with pytest.raises(BenchError, match="cannot be written"): run(world, "nearest_prototype", out=world[0]/"file"/"out")


def test_a_method_that_forgets_clips(world, monkeypatch):
    monkeypatch.setitem(METHODS, "lazy", lambda shots, unlabelled, *, seed, speakers, shared: ["fear"])
    with pytest.raises(BenchError, match="1 predictions for 66 unlabelled clips"): run(world, "lazy")


@pytest.mark.filterwarnings("ignore")
def test_bad_audio_in_a_bench(corpus, tmp_path):
    for language in ("de", "it"): corpus(emotions=("anger", "fear"), language=language, name=f"{language}.csv")
    protocol = make_protocol(tmp_path, ["de", "it"], shots=2, seeds=[0])
    protocol["tasks"] = protocol["tasks"][:1]
    go = lambda: bench(protocol, tmp_path, "acoustic", "nearest_prototype,logistic_regression", out=tmp_path/"out", progress=False)
    (tmp_path/"it"/"Ann_fear_1.wav").write_text("no sound")
    assert len(go()) == 2
    assert "1 clips of it could not be used" in (tmp_path/"out"/"summary.md").read_text()
    shot = protocol["tasks"][0]["shots"]["0"][0]
    (tmp_path/shot).write_text("no sound")
    with pytest.raises(ProtocolError, match=f"de→it, seed 0: the audio of shot {shot}"):
        bench(protocol, tmp_path, "acoustic", "nearest_prototype", progress=False)


# ---- reading results ----

def results(values):
    "values: {(method, task, seed): uar}"
    return pd.DataFrame([(m, *t.split(">"), s, 4, u, u, u, 1.) for (m, t, s), u in values.items()], columns=COLUMNS)

def test_paired_difference_against_a_plain_loop():
    rng = np.random.default_rng(0)
    tasks, seeds = [f"a>{i}" for i in range(8)], range(6)
    values = {(m, t, s): rng.random() for m in ("x", "y") for t in tasks for s in seeds}
    got = paired_difference(results(values), "x", "y", level=.8, n=4000)
    d = np.array([[values["x", t, s]-values["y", t, s] for s in seeds] for t in tasks])
    means = [d[np.ix_(rng.integers(8, size=8), rng.integers(6, size=6))].mean() for _ in range(4000)]
    assert got["difference"] == pytest.approx(d.mean())
    assert [got["low"], got["high"]] == pytest.approx(np.quantile(means, [.1, .9]), abs=.015)
    assert (got["won"], got["tasks"]) == ((d.mean(1) > 0).sum(), 8)


def test_unfinished_results_can_be_read():
    values = {(m, t, s): .5+.1*(m == "x") for m in ("x", "y") for t in ("a>b", "b>a") for s in (0, 1)}
    for gone in [("y", "b>a", 1), ("x", "a>b", 0)]: values.pop(gone)
    r = results(values)
    assert paired_difference(r, "x", "y")["difference"] == pytest.approx(.1)
    about = dict(protocol=dict(name="p", note=""), encoder={"": dict(name="acoustic")}, speakers=True, corpora={}, version="0")
    assert "| b→a | 25.0 | 60.0 | 50.0 |" in summary(r, about)
    assert "unfinished" in summary(r[(r.method == "x") | (r.source == "a")], about)
    heatmap(r)
