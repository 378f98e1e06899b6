"What a notebook would make ugly: scores against scikit-learn, labels that try to leak, a bench that is killed, protocols that do not fit"
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

from conftest import everywhere
from sere_nb import baselines, bench as runs, rivals, scores as counting, tables, tasks
from sere_nb.blind import _SEEN
from sere_nb.corpora import read_manifest
from sere_nb.encoder import Embeddings, Frames
from sere_nb.evaluate import *
from sere_nb.results import _drop_stale

NAMES = ["anger", "fear", "pride"]


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


def test_scores_do_without_what_takes_a_second_to_import():
    "All of scipy.stats for two functions: a demo waited for it"
    code = "import sys; from sere_nb.scores import scores; print(scores([*'abab']*4, [*'abba']*4, groups=[*'wwxx', *'yyzz']*2)['ci95_draws'], 'scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.split() == ["speakers", "False"]


def test_stratified_resamples_keep_the_number_of_each_emotion():
    counts = np.array([[3, 1, 0], [0, 0, 0], [2, 0, 9]])
    rng = np.random.default_rng(0)
    assert (counting._resampled(counts, 30, rng, True).sum(-1) == counts.sum(-1)).all()
    free = counting._resampled(counts, 30, rng, False)
    assert (free.sum((1, 2)) == 15).all() and len(np.unique(free.sum(-1), axis=0)) > 1


@pytest.mark.parametrize("work, says", [
    (lambda: uar([], []), "no clip has a label"),
    (lambda: uar(["fear"], []), "1 labels, but 0 predictions"),
    (lambda: confusion(["fear"], ["joy"], ["fear"]), "'joy' is not among fear"),
])
def test_scores_of_nothing(work, says):
    with pytest.raises(ValueError, match=says): work()


# ---- confidence ----

def test_ece_and_coverage_against_plain_loops():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 200)
    truth = rng.choice(NAMES, 200)
    said, sure = np.array(NAMES)[p.argmax(1)], p.max(1)
    gap = 0
    for i in range(7):
        here = (sure > i/7) & (sure <= (i+1)/7)
        if here.any(): gap += here.sum()/200*abs(sure[here].mean()-(said == truth)[here].mean())
    assert ece(truth, p, NAMES, bins=7) == pytest.approx(gap)
    assert reliability(truth, p, NAMES).clips.sum() == 200
    for row in coverage_curve(truth, p, NAMES, points=9).itertuples():
        top = sure >= row.at_least
        assert row.coverage == top.mean() and row.uar == pytest.approx(uar(truth[top], said[top])) and row.wa == pytest.approx((said == truth)[top].mean())


def test_confidence_knows_ties_edges_and_unlabelled_clips():
    assert ece(["fear", ""], [[0, 1.], [1., 0]], ["anger", "fear"]) == 0
    t = reliability(["anger"]*3, [[.5, .5], [.6, .4], [1., 0]], ["anger", "fear"], bins=2)
    assert t.clips.tolist() == [1, 2] and t.right.tolist() == [1, 1] and np.isnan(reliability(["fear"], [[0., 1]], ["anger", "fear"]).right[0])
    assert len(coverage_curve(["fear"]*3, np.eye(2)[[1, 1, 0]], ["anger", "fear"])) == 3     # fewer clips than points
    plot_reliability(t); plot_coverage(coverage_curve(["fear"]*3, np.eye(2)[[1, 1, 0]], ["anger", "fear"]))


# ---- JDAR ----

@pytest.mark.parametrize("seed", range(3))
def test_jdar_never_climbs_and_solves_its_problem(seed):
    rng = np.random.default_rng(seed)
    x, z, label = rng.standard_normal((40, 6)), rng.standard_normal((50, 6)), np.arange(40) % 4
    P, guess, objective = jdar_fit(x, label, z, gap=.3, sparse=.05, rounds=4, steps=60)
    assert (np.diff(objective, axis=1) <= 1e-12).all()
    gaps = [x.mean(0)-z.mean(0)]+[x[label == c].mean(0)-z[guess == c].mean(0) for c in range(4)]
    def cost(P): return ((np.eye(4)[label]-x@P)**2).sum()/40+.3*sum(((g@P)**2).sum() for g in gaps)+.05*np.sqrt((P**2).sum(1)).sum()
    assert cost(P) == pytest.approx(objective[-1, -1], abs=1e-5)
    assert all(cost(P+1e-3*rng.standard_normal(P.shape)) > cost(P) for _ in range(20))     # no way down from here


def test_jdar_bridges_a_shift_where_plain_regression_fails():
    rng, kind = np.random.default_rng(1), np.arange(150) % 3
    corner = np.array([[1, 0], [-.5, .9], [-.5, -.9]])[kind]
    x = np.concatenate([2*corner, corner], 1)+.3*rng.standard_normal((150, 4))
    z = np.concatenate([0*corner+[4, -3], corner], 1)+.3*rng.standard_normal((150, 4))    # the first two features say nothing there, and lie far off
    plain = np.linalg.lstsq(x, np.eye(3)[kind], rcond=None)[0]
    P = jdar_fit(x, kind, z, gap=1.)[0]
    assert ((z@plain).argmax(1) == kind).mean() < .6 and ((z@P).argmax(1) == kind).mean() > .95


# ---- rivals ----

def crowd(seed=0, n=60, views=2, dims=4, K=3):
    """A frame as rivals get it: clips of two corpora, shots first."""
    from types import SimpleNamespace
    rng = np.random.default_rng(seed)
    kind = np.r_[np.repeat(range(K), 4), rng.integers(0, K, n)]
    x = rng.standard_normal((K, views, dims))[kind].transpose(1, 0, 2)*1.5+rng.standard_normal((views, len(kind), dims))*[.3, 1, 1, 2]
    ends = np.arange(K*4), np.arange(K*4, K*4+n//2), np.arange(K*4+n//2, K*4+n)
    return SimpleNamespace(x=x, y=kind[:K*4], names=np.array(NAMES[:K]), corpora=list(ends[1:]), whole=[np.r_[ends[0], ends[1]], ends[2]]), kind


@pytest.mark.parametrize("seed", range(3))
def test_expectation_maximisation_against_plain_loops(seed):
    hand, _ = crowd(seed)
    V, n, D = hand.x.shape
    K, m = 3, len(hand.y)
    p = np.zeros((n, K))
    p[np.arange(m), hand.y] = 1
    for r in range(4):
        logp = np.zeros((n, K))
        for v in range(V):
            mean = [sum(p[i, k]*hand.x[v, i] for i in range(n))/p[:, k].sum() for k in range(K)]
            cov = sum(p[i, k]*np.outer(hand.x[v, i]-mean[k], hand.x[v, i]-mean[k]) for i in range(n) for k in range(K))/p.sum()
            cov = .9*cov+.1*np.trace(cov)/D*np.eye(D)
            for k in range(K):
                far = hand.x[v]-mean[k]
                logp[:, k] -= (far@np.linalg.inv(cov)*far).sum(1)/2/V
        p = np.zeros((n, K))
        p[np.arange(m), hand.y] = 1
        for rows in hand.corpora: p[rows] = baselines._balanced(logp[rows])
    assert em_fit(hand, rounds=3) == pytest.approx(p, abs=1e-4)


def test_residual_clusters_leave_emotions_alone():
    hand, kind = crowd(n=300)
    p = np.eye(3)[kind]
    taken = residual_clusters(hand, each=40)(hand.x, p)
    for rows in hand.whole:     # what is taken is the same for all of a cluster, and is the mean of what remains
        groups = np.unique(taken[:, rows].transpose(1, 0, 2).reshape(len(rows), -1).round(9), axis=0, return_inverse=True)[1].ravel()
        rest = hand.x[:, rows]-p[rows]@np.linalg.solve(p[rows].T@p[rows]+1e-3*np.eye(3), p[rows].T@hand.x[:, rows])
        assert 1 < groups.max()+1 <= len(rows)//40
        for g in range(groups.max()+1): assert taken[:, rows][:, groups == g][:, 0] == pytest.approx(rest[:, groups == g].mean(1), abs=1e-6)


def test_coral_gives_the_covariance_of_the_target():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((4000, 5))@rng.standard_normal((5, 5))*30 for _ in range(2))
    moved = coral_map(a, b)
    found, due = np.cov(moved.T), np.cov(b.T)
    assert np.abs(found-due).max() < .03*np.abs(due).max() and np.abs(moved.mean(0)-b.mean(0)).max() < .1


def test_transport_carries_each_clip_along_the_cheapest_plan():
    from scipy.optimize import linprog
    rng = np.random.default_rng(0)
    source, target = rng.uniform(size=(4, 2)), rng.uniform(size=(5, 2))
    cost = np.square(source[:, None]-target).sum(2)
    rows, columns = np.kron(np.eye(4), np.ones(5)), np.kron(np.ones(4), np.eye(5))
    exact = linprog(cost.ravel(), A_eq=np.r_[rows, columns], b_eq=np.r_[np.full(4, 1/4), np.full(5, 1/5)])
    where = 4*exact.x.reshape(4, 5)@target
    assert transported(source, target, .002, 20000) == pytest.approx(where, abs=.02)


def test_neighbours_against_a_plain_loop(monkeypatch):
    x = np.random.default_rng(0).standard_normal((50, 3))
    unit = x/np.linalg.norm(x, axis=1, keepdims=True)
    w = np.zeros((50, 50))
    for i in range(50):
        for j in sorted((j for j in range(50) if j != i), key=lambda j: -unit[i]@unit[j])[:4]: w[i, j] = 1
    assert neighbours(x, 4).toarray() == pytest.approx((w+w.T)/2)
    assert neighbours(x[:3], 9).toarray() == pytest.approx(1-np.eye(3))     # fewer clips than neighbours


@pytest.mark.parametrize("force", [.1, 1.])
def test_smoothing_lowers_its_objective(force):
    hand, _ = crowd(1)
    hand.corpora = hand.corpora[:1]
    unary, graph = np.random.default_rng(0).standard_normal((72, 3)), neighbours(hand.x[0], 5)
    rows = hand.corpora[0]
    def cost(p):
        q = p[rows]
        return -(q*unary[rows]).sum()-force*((graph@p)[rows]*q).sum()*.5+(q*np.log(q.clip(1e-12))).sum()
    costs = [cost(laplacian_fit(unary, graph, hand, force, rounds=r)) for r in (0, 1, 5, 40)]
    assert costs[-1] <= costs[0]+1e-9
    last, after = (laplacian_fit(unary, graph, hand, force, rounds=r) for r in (200, 201))
    assert last == pytest.approx(after, abs=1e-4)      # it comes to rest


def test_rivals_find_what_lies_open():
    hand, kind = crowd(2, n=300)
    z = hand.x.transpose(1, 0, 2).reshape(len(kind), -1)
    z = z/np.linalg.norm(z, axis=1, keepdims=True)
    easy = np.eye(3)[kind]+.05*np.random.default_rng(0).standard_normal((len(kind), 3))
    hand.x = easy[None]
    unit = easy/np.linalg.norm(easy, axis=1, keepdims=True)
    for p in (em_fit(hand), pt_map_fit(unit, hand), alpha_tim_fit(unit, hand)): assert (p.argmax(1) == kind).all()


def test_alpha_tim_reports_probabilities_and_is_not_forced_into_balance():
    from types import SimpleNamespace
    kind = np.r_[0, 1, np.zeros(90, int), np.ones(10, int)]
    x = np.eye(2)[kind]+.02*np.random.default_rng(0).standard_normal((102, 2))
    hand = SimpleNamespace(x=x[None], y=kind[:2], names=np.array(NAMES[:2]), corpora=[np.arange(2, 102)], whole=[np.arange(102)])
    p = alpha_tim_fit(x/np.linalg.norm(x, axis=1, keepdims=True), hand)
    assert p.sum(1) == pytest.approx(np.ones(102), abs=1e-5) and (p.argmax(1) == kind).mean() > .9


@pytest.mark.parametrize("name", ["magic", "magic+views", "sere+views", "full_labels:full", "em+views+views", "em:full:full", "", "+views", ":full"])
def test_names_of_methods_that_are_none(name):
    with pytest.raises(BenchError, match="no method"): rivals._method(name)


# ---- a little world: three corpora whose "sound" is a noisy point for each emotion ----

def manifest(folder, name, emotions=NAMES, clips=6, speakers=2):
    lines = ["path,language,speaker,emotion,raw_emotion,gender"]
    lines += [f"{name}/{s}_{e}_{i}.wav,{name[:2]},{name}_{s},{e},{e.upper()},f" for e in emotions for s in range(speakers) for i in range(clips)]
    (folder/f"{name}.csv").write_text("\n".join(lines)+"\n", encoding="utf-8")


def fake_embed(table, encoder=None, cache=None, progress=True, memory_gb=4.):
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
    everywhere(monkeypatch, "embed", fake_embed)
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
        for of in ("shots", "unlabelled"): assert set(seen[of].table) - {"emotion"} <= set(_SEEN)


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
    monkeypatch.setitem(METHODS, "em_on_views", on_views(em))
    honest = [m for m in (*METHODS, *RIVALS) if m != "sere" and not sees_source_labels({**METHODS, **RIVALS}[m])]
    for m in honest:
        group = METHODS if m in METHODS else RIVALS
        monkeypatch.setitem(group, m, keeping(m, group[m]))
    sound = {n: fake_embed(read_manifest(folder/f"{n}.csv")) for n in ("xa", "yb")}     # from the true labels, before they are shuffled
    def same_sound(table, **kw):
        e = sound[table.path.iloc[0][:2]]
        return Embeddings(e.table.assign(emotion=table.emotion), e.views)
    everywhere(monkeypatch, "embed", same_sound)
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
    assert [m for m in METHODS if sees_source_labels(METHODS[m])] == ["full_labels", "jdar_full", "asks"]


def test_speakers_are_kept_from_methods_that_must_not_know(world, monkeypatch):
    spy = Spy()
    monkeypatch.setitem(METHODS, "spy", spy)
    run(world, "spy", speakers=False, seeds=0)
    run(world, "spy", seeds=0)
    assert [set(s["unlabelled"].table.speaker) for s in spy.seen] == [{""}]*2 + [{f"{c}_{i}" for c in ("xa", "yb") for i in (0, 1)}]*2
    assert [s["speakers"] for s in spy.seen] == [False, False, True, True]


@pytest.fixture
def heard(world, monkeypatch):
    "Tables whose voices were asked for; a clip's is odd or even as the last digit of its hash"
    asked = []
    def voices(table, encoder, cache=None, n_voices=None, progress=True):
        asked.append(table)
        return table.assign(speaker=[f"v{1+int(k[-1], 16)%2}" for k in table.key], voice_sure=.9)
    class Listener: name, key = "stub", "stub-1"
    everywhere(monkeypatch, "with_voices", voices)
    everywhere(monkeypatch, "load_voice_encoder", Listener)
    return asked


def test_voices_are_found_among_the_clips_of_a_task(world, heard, monkeypatch):
    spy = Spy()
    monkeypatch.setitem(METHODS, "spy", spy)
    less = json.loads(json.dumps(world[1]))
    less["tasks"][1]["emotions"] = NAMES[:2]
    by = pd.concat(fake_embed(read_manifest(world[0]/f"{o}.csv")).table for o in ("xa", "yb")).set_index("path").emotion
    less["tasks"][1]["shots"] = {s: [p for p in paths if by[p] in NAMES[:2]] for s, paths in less["tasks"][1]["shots"].items()}
    bench(less, world[0], "acoustic", "spy", progress=False, speakers="found", out=world[0]/"out")
    assert [(set(t.corpus), set(t.emotion)) for t in heard] == [({c}, set(NAMES[:n])) for c, n in (("xa", 3), ("yb", 3), ("yb", 2), ("xa", 2))]     # once each, not once a seed
    assert all(t.key.is_monotonic_increasing for t in heard)     # the order of the names says nothing
    for s in spy.seen:
        for part in (s["shots"], s["unlabelled"]): assert part.table.speaker.tolist() == [f"v{1+int(k[-1], 16)%2}" for k in part.table.key]
        assert s["speakers"] is True
    about = json.loads((world[0]/"out"/"bench.json").read_text())
    assert about["speakers"] == "found" and about["voices"] == dict(name="stub", key="stub-1")
    assert "speakers found by sound;" in (world[0]/"out"/"summary.md").read_text()


def test_voices_are_not_found_where_nobody_asks(world, heard):
    for i, (who, says) in enumerate({"known": "known", "none": "not known", True: "known", False: "not known"}.items()):
        run(world, "nearest_prototype", seeds=0, speakers=who, out=world[0]/f"out{i}")
        assert json.loads((world[0]/f"out{i}"/"bench.json").read_text())["speakers"] == ["known", "none"][i%2]
        assert f"speakers {says};" in (world[0]/f"out{i}"/"summary.md").read_text()
    assert not heard
    for bad in ("some", None, 2, []):
        with pytest.raises(BenchError, match="Choose 'known', 'found' or 'none'"): run(world, "nearest_prototype", speakers=bad)
    with pytest.raises(BenchError, match="new speakers cannot be drawn"): run(world, "sere", speakers="found", new_speakers=True)


@pytest.mark.parametrize("old, now, other", [(True, "known", "found"), (False, "none", "known")])
def test_benches_from_before_voices_could_be_found_go_on(world, heard, old, now, other):
    from sere_nb import files
    out = world[0]/"out"
    run(world, "nearest_prototype", seeds=0, speakers=now, out=out)
    about = json.loads((out/"bench.json").read_text())
    files.write(out/"bench.json", json.dumps({**about, "speakers": old}))
    with pytest.raises(BenchError, match="other speakers"): run(world, "nearest_prototype", seeds=0, speakers=other, out=out)
    assert len(run(world, "nearest_prototype", speakers=now, out=out)) == 4
    assert json.loads((out/"bench.json").read_text())["speakers"] == now


def test_baselines_on_an_easy_task(world):
    every = [m for m in (*METHODS, *RIVALS, "em+views", "em:full", "em+views:full") if m != "sere"]
    r = run(world, every)
    assert (r.groupby("method").uar.mean() > .8).all()
    assert r.n_classes.eq(3).all() and r.shots.eq(2).all() and list(r) == COLUMNS+EXTRA
    again = run(world, every)
    assert r.drop(columns="fit_s").equals(again.drop(columns="fit_s"))


def test_preparation_is_billed_to_every_fit_that_uses_it(world, monkeypatch):
    now = [0.]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    def work(): now[0] += .2
    def slow(shots, unlabelled, *, seed, speakers, shared):
        for _ in range(2): shared.once("slow", work)
        return np.full(len(unlabelled), "fear")
    monkeypatch.setitem(METHODS, "slow", slow)
    monkeypatch.setitem(METHODS, "spy", Spy())
    r = run(world, "slow,spy").groupby("method").fit_s
    assert r.min()["slow"] == pytest.approx(.2) == r.max()["slow"] and r.max()["spy"] == 0


def test_fits_that_give_probabilities_have_an_ece(world, monkeypatch):
    table = pd.DataFrame([[.2, .7, .1]], columns=NAMES)
    def sure(shots, unlabelled, *, seed, speakers, shared, proba=False): return pd.concat([table]*len(unlabelled)) if proba else np.full(len(unlabelled), "fear")
    monkeypatch.setitem(METHODS, "sure", sure)
    r = run(world, "sure,nearest_prototype", seeds=0, out=world[0]/"out", clips=True).set_index("method")
    assert r.ece["sure"].tolist() == pytest.approx([.7-1/3]*2) and r.uar["sure"].tolist() == pytest.approx([1/3]*2) and r.ece["nearest_prototype"].isna().all()
    assert "| calibration error (ECE), % |  |  | 36.7 |" in (world[0]/"out"/"summary.md").read_text()
    c = read_clips(world[0]/"out"/"clips")
    assert len(c) == 4*36 and set(c.path[c.target == "yb"]) == set(read_manifest(world[0]/"yb.csv").path)
    for (m, target), o in c.groupby(["method", "target"]):
        assert uar(o.truth, o.emotion) == pytest.approx(r.loc[m].set_index("target").uar[target], abs=1e-6)
    assert c.p_fear[c.method == "sure"].eq(.7).all() and c.p_fear[c.method != "sure"].isna().all()


def test_ablation_runs_variants_of_sere(world, monkeypatch):
    asked = []
    def fake(shots, unlabelled, *, seed, speakers, shared, **kw):
        asked.append(kw)
        return np.full(len(unlabelled), "fear" if kw else "anger")
    everywhere(monkeypatch, "sere", fake)
    monkeypatch.setitem(METHODS, "sere", fake)
    everywhere(monkeypatch, "ABLATION", {"no highlights": dict(loud=0.)})
    r = run(world, "sere", seeds=0, ablate=True, out=world[0]/"out")
    assert set(r.method) == {"sere", "sere:no highlights"} and dict(loud=0.) in asked and {} in asked
    assert "## Ablation" in (world[0]/"out"/"summary.md").read_text()


def test_ablation_table_against_paired_differences():
    rng = np.random.default_rng(0)
    names = [*(f"sere:{o}" for o in LADDER), "sere", "sere:no_student"]
    r = results({(m, t, s): rng.random() for m in names for t in ("a>b", "b>a", "a>c") for s in range(3)})
    table = ablation_table(r)
    rungs = [*LADDER, "sere (all)"]
    assert table.index.tolist() == [*(("ladder", o) for o in rungs), ("left out", "no_student")]
    assert table["mean"].tolist() == pytest.approx([100*r[r.method == m].uar.mean() for m in names])
    assert table.brings["ladder"].tolist()[1:] == pytest.approx(np.diff(table["mean"]["ladder"]))
    d = paired_difference(r, "sere", "sere:no_student", over="tasks")
    assert table.loc[("left out", "no_student"), ["brings", "tasks_low", "tasks_high"]].tolist() == pytest.approx([100*d[k] for k in ("difference", "low", "high")])
    assert list(ABLATION["structure"]) == [k for off in PARTS.values() for k in off] and ABLATION["no_student"] == PARTS["student"]


# ---- numbers of shots ----

def test_shots_are_nested_and_meet_the_protocol(world, monkeypatch):
    spy = Spy()
    monkeypatch.setitem(METHODS, "spy", spy)
    r = run(world, "spy", seeds=0, shots="4,1,2")
    assert r.shots.tolist() == [1, 2, 4]*2 and [len(s["shots"]) for s in spy.seen] == [3, 6, 12]*2
    keys = [set(s["shots"].table.key) for s in spy.seen]
    assert keys[0] < keys[1] < keys[2] and keys[3] < keys[4] < keys[5]
    run(world, "spy", seeds=0)
    assert [set(s["shots"].table.key) for s in spy.seen[6:]] == [keys[1], keys[4]]
    assert all(len(s["unlabelled"])+len(s["shots"]) == 72 for s in spy.seen)


def test_a_curve_goes_on_and_holds_the_main_table(world):
    out = world[0]/"out"
    main = run(world, "nearest_prototype,logistic_regression", out=out)
    r = run(world, "nearest_prototype,logistic_regression", out=out, shots="1,2")
    assert len(r) == 16 and (out/"results.csv").read_text().count("\n") == 17
    pd.testing.assert_frame_equal(r[:8], main)
    text = (out/"summary.md").read_text()
    assert "## Shots per emotion" in text and "2 shots per emotion; other numbers are below" in text
    curve = shots_curve(r)
    assert curve.shots.tolist() == [1, 2]*2 and (curve.low <= curve["mean"]).all() and (curve["mean"] <= curve.high).all()
    assert curve["mean"][1] == pytest.approx(main[main.method == "nearest_prototype"].uar.mean())
    assert len(plot_shots(r).lines) == 2 and len(one_number(r, 1)) == 8 and one_number(r, 9).shots.eq(2).all()


def test_results_of_before_can_be_read(tmp_path):
    (tmp_path/"results.csv").write_text(",".join(COLUMNS)+"\nsere,a,b,0,4,0.5,0.5,0.5,1.0\n")
    r = read_results(tmp_path/"results.csv")
    assert list(r) == COLUMNS+EXTRA and r.ece.isna().all() and task_table(one_number(r, 5)).sere.tolist() == [50]


# ---- targets that are not balanced ----

@given(st.lists(st.integers(1, 30), min_size=3, max_size=3), st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(sum), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_thinning_is_exact_and_as_small_as_needed(clips, parts, seed):
    labels, shares = np.repeat(NAMES, clips), {e: o/sum(parts) for e, o in zip(NAMES, parts)}
    keep = thin(labels, shares, seed)
    kept = np.array([(labels[keep] == e).sum() for e in NAMES])
    total = min(n/s for n, s in zip(clips, shares.values()) if s)
    assert (np.abs(kept-total*np.array([*shares.values()])) < 1).all() and (kept <= clips).all()
    assert any(k == n for k, n, s in zip(kept, clips, shares.values()) if s)     # some emotion is used up
    assert (keep == thin(labels, shares, seed)).all()


def test_the_bench_thins_the_target_seed_by_seed(world, monkeypatch):
    spy, told = Spy(), []
    def asks(shots, unlabelled, *, seed, speakers, shared, target_shares):
        told.append(target_shares)
        return np.full(len(unlabelled), "fear")
    monkeypatch.setitem(METHODS, "spy", spy)
    monkeypatch.setitem(METHODS, "asks", asks)
    p = thinned(world[1], .6)
    r = bench(p, world[0], "acoustic", "spy,asks", progress=False)
    target = [set(s["unlabelled"].table.key[s["unlabelled"].table.corpus == "yb"]) for s in spy.seen[:2]]
    assert [len(o) for o in target] == [20, 20] and target[0] != target[1]      # 12 and 4 and 4
    for s in spy.seen:
        assert set(s["shared"].clips.table.path) == {*s["shots"].table.path, *s["unlabelled"].table.path} and "emotion" not in s["unlabelled"].table
        assert (s["shared"].clips.table.corpus == s["shots"].table.corpus[0]).sum() == 36      # the source stays whole
    for t, shares in zip([p["tasks"][0]]*2+[p["tasks"][1]]*2, told): assert shares == pytest.approx(t["target_shares"])
    again = bench(p, world[0], "acoustic", "spy,asks", progress=False)
    pd.testing.assert_frame_equal(r.drop(columns="fit_s"), again.drop(columns="fit_s"))


def test_emotions_that_the_target_lacks(world):
    p = thinned(spoil(world[1]), missing=2)
    assert [sorted(t["target_shares"].values()) for t in p["tasks"]] == [[0, .5, .5]]*2     # of three emotions two must stay
    r = bench(p, world[0], "acoustic", "logistic_regression", progress=False)
    assert r.n_classes.eq(3).all() and r.uar.gt(.8).all()


def test_only_the_oracle_is_told_shares(world, monkeypatch):
    made = []
    class Stub:
        def __init__(self, seed, speakers, prior="balanced", **kw): self.prior, self.device, self.settings = prior, "cpu", dict(contents=()); made.append(self)
        def fit(self, shots, unlabelled, space):
            self.classes_ = np.unique(shots.table.emotion)
            self.history_ = [dict(proba=torch.eye(3)[torch.zeros(len(shots)+len(unlabelled)).long()])]
    everywhere(monkeypatch, "SERE", Stub)
    monkeypatch.setattr(Shared, "space", lambda *a, **kw: None)
    everywhere(monkeypatch, "settings_of", lambda p, *a: dict(protocol=dict(name=p["name"], note="", shots=2), encoder={}, speakers=True, corpora={}, version="0"))
    p = thinned(world[1], .6)
    bench(p, world[0], "acoustic", "sere,sere:estimate,sere:true_shares", 0, progress=False, out=world[0]/"out")
    assert [o.prior for o in made[:2]] == ["balanced", "estimate"]
    assert list(made[2].prior) == ["yb"] and made[2].prior["yb"] == pytest.approx(p["tasks"][0]["target_shares"])
    text = (world[0]/"out"/"summary.md").read_text()
    assert "sere:true_shares is told the shares of the emotions in the target" in text and "sere:estimate − sere:true_shares" in text
    assert "one emotion 60 % of the target" in text
    assert set(runs._read_methods(None, p, False, False)) == {*METHODS, *VARIANTS} and set(runs._read_methods(None, world[1], False, False)) == set(METHODS)


def test_who_asks_is_told_shares_and_design_of_the_target(world, monkeypatch):
    asked = []
    def asks(shots, unlabelled, *, seed, speakers, shared, shares=None, design=None):
        asked.append((shares, design))
        return np.full(len(unlabelled), "fear")
    monkeypatch.setitem(METHODS, "asks", asks)
    monkeypatch.setitem(METHODS, "spy", Spy())
    for how in (dict(), dict(shares=dict(anger=.5)), dict(shares="estimate", design=(True, False))): run(world, "asks,spy", seeds=0, **how)
    half = pytest.approx(dict(anger=.5, fear=.25, pride=.25))
    assert asked == [(None, None)]*2+[(dict(yb=half), None), (dict(xa=half), None)]+[(dict(yb="estimate"), dict(yb=(True, False))), (dict(xa="estimate"), dict(xa=(True, False)))]
    run(world, "spy", seeds=0, shares=dict(anger=.5), out=world[0]/"out")
    assert "are told: anger 50 %." in (world[0]/"out"/"summary.md").read_text()
    with pytest.raises(BenchError, match="other shares"): run(world, "spy", seeds=0, out=world[0]/"out")
    for bad, says in ((dict(joy=.5), "no task has the emotion 'joy'"), ("even", "no such way"), (dict(anger=.8, fear=.5), "sum to 1.3"), (dict(anger=-.1), "sum to -0.1")):
        with pytest.raises(BenchError, match=says): run(world, "spy", shares=bad)


def test_rivals_follow_the_shares_that_are_told(world):
    true = dict(anger=.8, fear=.1, pride=.1)
    uneven = {**world[1], "tasks": [{**t, "target_shares": true} for t in world[1]["tasks"]]}
    got = {str(how): bench(uneven, world[0], "acoustic", [m for m in RIVALS if m != "alpha_tim"], progress=False, shares=how).groupby("method").wa.mean() for how in ("balanced", true)}
    assert (got[str(true)] >= got["balanced"]-.02).all() and got[str(true)].mean() > got["balanced"].mean()+.05


# ---- clips that come later ----

def test_new_speakers_are_new(world, monkeypatch):
    seen = []
    def learns(shots, unlabelled, *, seed, speakers, shared, new=None):
        seen.append((unlabelled, new, shared))
        return np.full(len(unlabelled if new is None else new), "fear")
    monkeypatch.setitem(METHODS, "learns", learns)
    r = run(world, "learns", new_speakers=True, out=world[0]/"out", clips=True)
    assert r.method.tolist() == ["learns:seen", "learns:new", "learns:other"]*4 and r.uar.tolist() == pytest.approx([1/3]*12)
    for (everything, nothing, _), (half, new, shared), (own, none, _) in zip(seen[::3], seen[1::3], seen[2::3]):
        assert none is None and own.table.path.tolist() == half.table.path.tolist()
        assert nothing is None and len(everything) == 66 and len(half) == 48 and len(new) == 18
        assert not set(new.table.speaker) & set(half.table.speaker) and not set(new.table.path) & set(shared.clips.table.path)
        assert set(everything.table.path) == {*half.table.path, *new.table.path} and "emotion" not in new.table
    c = read_clips(world[0]/"out"/"clips")
    for _, o in c.groupby(["source", "seed"]): assert sorted(o.path[o.method == "learns:seen"]) == sorted(o.path[o.method == "learns:new"])
    for _, o in c.groupby(["source", "seed"]): assert not set(o.path[o.method == "learns:other"]) & set(o.path[o.method == "learns:new"])
    halves = {seed: set(o.path) for seed, o in c[(c.target == "yb") & (c.method != "learns:other")].groupby("seed")}
    assert len(halves[0]) == 18 and "other half" not in (world[0]/"out"/"summary.md").read_text()
    with pytest.raises(BenchError, match="other new speakers"): run(world, "nearest_prototype", out=world[0]/"out")


def test_without_speakers_half_of_the_clips_are_new():
    new = tasks._new_half([""]*11, 3)
    assert new.sum() == 5 and (new == tasks._new_half([""]*11, 3)).all() and (new != tasks._new_half([""]*11, 4)).any()


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
    assert text[0] == "method,source,target,seed,n_classes,uar,wa,macro_f1,fit_s,shots,ece" and len(text) == 5
    run(world, "logistic_regression", seeds=0, out=out)     # another method joins
    assert len(read_results(out/"results.csv")) == 6


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """The sample voices of two languages, fewer of them: (folder of manifests, protocol, cache)."""
    from sere_nb.corpora import data_samples
    folder = tmp_path_factory.mktemp("spoken")
    for name in ("de", "it"):
        t = read_manifest(data_samples()/f"{name}.csv")
        t = t[t.emotion.isin(["anger", "sadness", "neutral"])]
        t.assign(path=t.file)[["path", "language", "speaker", "emotion"]].to_csv(folder/f"{name}.csv", index=False)
    return folder, make_protocol(folder, ["de", "it"], shots=3, seeds=range(2)), folder/"cache"


def test_a_corpus_that_stays_on_disk_is_benched_by_every_method(spoken, monkeypatch):
    folder, protocol, cache = spoken
    kinds = []
    def spy(shots, unlabelled, *, seed, speakers, shared):
        kinds.extend(type(o).__name__ for o in (shots, unlabelled, shared.clips))
        assert "emotion" not in unlabelled.load().table and "emotion" not in unlabelled.read(np.arange(2)).table
        return np.full(len(unlabelled), "anger")
    one = {**protocol, "tasks": protocol["tasks"][:1]}
    every = [*METHODS, *RIVALS, "em+views", "logistic_regression:full", "sere:no_student"]
    monkeypatch.setitem(METHODS, "spy", spy)
    disk = bench(one, folder, "acoustic", [*every, "spy"], 0, cache=cache, memory_gb=1e-3, progress=False)
    assert kinds == ["Stored"]*3 and set(disk.method) == {*every, "spy"}
    memory = bench(one, folder, "acoustic", every, 0, progress=False).set_index("method").uar
    assert (disk.set_index("method").uar[every]-memory).abs().max() < .15 and (memory > 1/3).all()
    seen = bench(one, folder, "acoustic", "sere", 0, cache=cache, memory_gb=1e-3, new_speakers=True, progress=False)
    assert set(seen.method) == {"sere:seen", "sere:new", "sere:other"}


def test_prepared_vectors_stay_for_other_benches(spoken, monkeypatch, tmp_path):
    folder, protocol, _ = spoken
    made = []
    def counted(emb, *args, **kw):
        made.append(len(emb))
        return clip_vectors(emb, *args, **kw)
    everywhere(monkeypatch, "clip_vectors", counted)
    def go(**kw): return bench(protocol, folder, "acoustic", "logistic_regression,em,em+views", "0-1", cache=tmp_path/"c", progress=False, **kw).drop(columns="fit_s")
    first = go()
    assert len(made) == 2*2     # of each task, plain ones and views: not once a method or seed
    assert go().equals(first) and len(made) == 4
    go(speakers="none")
    assert len(made) == 8       # other voices, other vectors
    files = sorted((tmp_path/"c"/"vectors").rglob("*.npz"))
    for f, data in zip(files, (b"", b"PK", files[2].read_bytes()[:-200], b"x"*4000)): f.write_bytes(data)
    assert go().equals(first) and 8 < len(made) <= 12      # a damaged file is made anew


def test_audio_that_changed_is_benched_anew(world, monkeypatch, recwarn):
    folder, out = world[0], world[0]/"out"
    for name in ("xa", "yb"):
        (folder/name).mkdir()
        for f in read_manifest(folder/f"{name}.csv").file: open(f, "wb").write(name.encode()+str(f).encode())
    spy = Spy()
    monkeypatch.setitem(METHODS, "spy", spy)
    run(world, "spy", seeds=0, out=out)
    run(world, "spy", seeds=0, out=out)
    assert len(spy.seen) == 2 and not [w for w in recwarn if "is not what it was" in str(w.message)]
    kept = (out/"results.csv").read_text().splitlines()
    changed = read_manifest(folder/"yb.csv").file.iloc[5]
    open(changed, "ab").write(b"more")
    with pytest.warns(UserWarning, match="the audio of yb is not what it was, so 2 results"): run(world, "spy", out=out)
    assert len(spy.seen) == 2+4 and len(read_results(out/"results.csv")) == 4 and len(kept) == 3
    data = open(changed, "rb").read()
    open(changed, "wb").write(data)     # touched, but it holds the same
    run(world, "spy", out=out)
    assert len(spy.seen) == 6


def test_results_of_other_corpora_stay_when_audio_changes(tmp_path):
    file = tmp_path/"results.csv"
    lines = [",".join([*COLUMNS, *EXTRA]), *(f"m,{a},{b},0,2,.5,.5,.5,.1,5," for a, b in (("a", "b"), ("b", "c"), ("c", "d"), ("d", "c")))]
    file.write_text("\n".join(lines)+"\n")
    with pytest.warns(UserWarning, match="audio of b is not what it was, so 2 results"): _drop_stale(file, dict(a="1", b="2", c="3"), dict(a="1", b="9", c="3", d="4"))
    assert file.read_text().splitlines() == [lines[0], *lines[3:]]
    _drop_stale(file, {}, dict(c="7"))     # of old benches nobody knows
    assert len(file.read_text().splitlines()) == 3


def test_no_more_corpora_stay_than_fit(spoken):
    folder, _, cache = spoken
    from sere_nb.encoder import load_encoder
    tables = {o: read_manifest(folder/f"{o}.csv") for o in ("de", "it")}
    some = tasks.Corpora(tables, load_encoder("acoustic"), cache, False, memory_gb=4.)
    a, b = some["de"], some["it"]
    some.only(("it",))
    assert list(some) == ["de", "it"] and some["de"] is a
    some.how["memory_gb"] = 1e-4
    some.only(("it",))
    assert list(some) == ["it"] and some["it"] is b
    some.how["cache"] = None        # they would have to be encoded again
    some["de"] = a
    some.only(("it",))
    assert set(some) == {"de", "it"}


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
    (lambda p: spoil(p, emotions=NAMES[:2]), "carries 'pride', which is not among the task's emotions"),
    (lambda p: spoil(p, emotions=[*NAMES, "Wut"]), "xa→yb: 'anger' and 'Wut' are the same emotion"),
    (lambda p: spoil(p, emotions=[*NAMES, 5]), "xa→yb: no clip of xa carries '5'"),
    (lambda p: spoil(p, shots={"0": ["xa/0_fear_9.wav"]}), "xa→yb, seed 0: shot xa/0_fear_9.wav is not in xa"),
    (lambda p: spoil(p, shots={"0": ["xa/0_fear_1.wav"]*6}), "seed 0: 0 different shots of 'anger' in xa, but 2 are promised"),
    (lambda p: spoil(p, shots={"first": []}), "seed 'first' is not a whole number"),
    (lambda p: spoil(p, shots={"1": p["tasks"][0]["shots"]["1"]}), "xa→yb: no shots for seed 0"),
    (lambda p: {**p, "tasks": p["tasks"][:1]*2}, "xa→yb: the task is there twice"),
    (lambda p: spoil(p, target_shares=[.5]), "xa→yb, target_shares: not a table of shares"),
    (lambda p: spoil(p, target_shares={"anger": 1.5, "fear": -.5}), "xa→yb, target_shares: not a table of shares"),
    (lambda p: spoil(p, target_shares={"anger": .5, "hope": .5}), "target_shares: 'hope' is not among the task's emotions"),
    (lambda p: spoil(p, target_shares={"anger": .5, "fear": .4}), "target_shares: the shares sum to 0.9"),
    (lambda p: spoil(p, target_shares={"anger": .99, "fear": .01}), "target_shares: yb has too few clips for a share of 0.01 of 'fear'"),
])
def test_protocols_that_do_not_fit(world, change, says):
    with pytest.raises(ProtocolError) as e: bench(change(world[1]), world[0], "acoustic", "nearest_prototype", seeds="0-1", progress=False)
    assert says in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize("word", ["joy", "happy", "Freude", "happiness"])
def test_a_protocol_in_other_words(tmp_path, monkeypatch, word):
    """As people had them before manifests were brought to one vocabulary: the same result, and what was given stays."""
    everywhere(monkeypatch, "embed", fake_embed)
    for name in ("xa", "yb"): manifest(tmp_path, name, ["anger", "fear", "joy"])
    with pytest.warns(UserWarning, match="joy → happiness"): plain = make_protocol(tmp_path, ["xa", "yb"], shots=2, seeds=[0])
    said = lambda e: word if e=="happiness" else e
    p = {**plain, "tasks": [{**t, "emotions": [said(e) for e in t["emotions"]], "target_shares": {said(e): s for e, s in dict(anger=.5, happiness=.5).items()}} for t in plain["tasks"]]}
    before = json.dumps(p)
    assert read_protocol(p)["tasks"] == [{**t, "target_shares": dict(anger=.5, happiness=.5)} for t in plain["tasks"]] and read_protocol(read_protocol(p)) == read_protocol(p)
    with pytest.warns(UserWarning, match="joy → happiness"): r = bench(p, tmp_path, "acoustic", "nearest_prototype", progress=False)
    assert len(r) == 2 and r.n_classes.eq(3).all() and json.dumps(p) == before


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
    (dict(methods="nearest_prototype", shots="few"), "shots 'few' cannot be read"),
    (dict(methods="nearest_prototype", shots=[3, 13]), "13 shots: only 12 clips of xa carry 'anger'"),
    (dict(methods="sere,nearest_prototype", new_speakers=True), "nearest_prototype cannot name clips that were not in its fit"),
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
    got = paired_difference(results(values), "x", "y", level=.8, n=4000, over="both")
    d = np.array([[values["x", t, s]-values["y", t, s] for s in seeds] for t in tasks])
    means = [d[np.ix_(rng.integers(8, size=8), rng.integers(6, size=6))].mean() for _ in range(4000)]
    assert got["difference"] == pytest.approx(d.mean())
    assert [got["low"], got["high"]] == pytest.approx(np.quantile(means, [.1, .9]), abs=.015)
    assert (got["won"], got["tasks"]) == ((d.mean(1) > 0).sum(), 8)


def test_intervals_over_tasks_and_over_pairs():
    rng = np.random.default_rng(0)
    tasks, seeds = [f"a>{i}" for i in range(8)], range(6)
    values = {(m, t, s): rng.random() for m in ("x", "y") for t in tasks for s in seeds}
    d = np.array([[values["x", t, s]-values["y", t, s] for s in seeds] for t in tasks])
    for over, means in (("tasks", [d[rng.integers(8, size=8)].mean() for _ in range(4000)]), ("pairs", [d.ravel()[rng.integers(48, size=48)].mean() for _ in range(4000)])):
        got = paired_difference(results(values), "x", "y", level=.8, over=over)
        assert [got["low"], got["high"]] == pytest.approx(np.quantile(means, [.1, .9]), abs=.015)


def test_interval_over_corpora_against_a_plain_loop():
    rng, names = np.random.default_rng(0), list("abcde")
    tasks = [f"{a}>{b}" for a in names for b in names if a != b]
    values = {(m, t, s): rng.random()+.3*(m == "x")*names.index(t[-1]) for m in ("x", "y") for t in tasks for s in range(3)}
    got = paired_difference(results(values), "x", "y", level=.8)
    assert got["over"] == "corpora"
    means = []
    for _ in range(3000):
        drawn, seeds = rng.integers(5, size=5), rng.integers(3, size=3)
        d = [values["x", f"{names[a]}>{names[b]}", s]-values["y", f"{names[a]}>{names[b]}", s] for a in drawn for b in drawn if a != b for s in seeds]
        if d: means.append(np.mean(d))
    tail = counting._tail(.8, 5)
    assert tail < .1 and [got["low"], got["high"]] == pytest.approx(np.quantile(means, [tail, 1-tail]), abs=.04)
    fewer = results({k: v for k, v in values.items() if set(k[1]) <= set("abc>")})
    assert paired_difference(fewer, "x", "y")["over"] == "both"     # three corpora are too few to be drawn


# ---- do intervals hold the truth as often as they say? ----

def held(intervals, truth): return np.mean([low <= truth <= high for low, high in intervals])


@pytest.mark.parametrize("speakers", [8, 24])
def test_intervals_over_speakers_hold_the_truth(speakers):
    "Speakers who are understood more and less well; the truth is that of all speakers"
    rng, chance, by_speaker, by_clip = np.random.default_rng(0), lambda x: 1/(1+np.exp(-x)), [], []
    truth = np.tile(np.repeat(NAMES, 8), speakers)
    who = np.repeat(np.arange(speakers), len(NAMES)*8)
    easy = lambda n: rng.normal(0, .8, (n, 1))+rng.normal(0, .4, (n, len(NAMES)))+.4
    for _ in range(250):
        right = rng.random((speakers, len(NAMES), 8)) < chance(easy(speakers))[..., None]
        said = np.where(right.ravel(), truth, np.roll(truth, 8))
        by_speaker.append(bootstrap_ci(truth, said, groups=who, n=800))
        by_clip.append(bootstrap_ci(truth, said, n=400))
    real = chance(easy(200_000)).mean()
    assert .9 <= held(by_speaker, real) <= .98
    assert held(by_clip, real) < .85        # why speakers are drawn


def test_intervals_over_corpora_hold_the_truth():
    "Corpora that suit a method more and less, as targets and as sources"
    rng, names = np.random.default_rng(0), list("abcdefg")
    tasks = [(i, j) for i in range(7) for j in range(7) if i != j]
    found = {o: [] for o in ("corpora", "both", "pairs")}
    for _ in range(250):
        target, source = rng.normal(0, .06, 7), rng.normal(0, .03, 7)
        d = np.array([target[j]+source[i] for i, j in tasks])[:, None]+rng.normal(0, .03, (42, 1))+rng.normal(0, .02, (42, 2))
        grid = pd.DataFrame(d, index=[f"{names[i]}→{names[j]}" for i, j in tasks])
        for o in found: found[o].append(tables._interval(grid, o, n=800))
    assert .9 <= held(found["corpora"], 0) <= .985
    assert held(found["both"], 0) < .85 and held(found["pairs"], 0) < .8


def test_unfinished_results_can_be_read():
    values = {(m, t, s): .5+.1*(m == "x") for m in ("x", "y") for t in ("a>b", "b>a") for s in (0, 1)}
    for gone in [("y", "b>a", 1), ("x", "a>b", 0)]: values.pop(gone)
    r = results(values)
    assert paired_difference(r, "x", "y")["difference"] == pytest.approx(.1)
    about = dict(protocol=dict(name="p", note=""), encoder={"": dict(name="acoustic")}, speakers=True, corpora={}, version="0")
    assert "| b→a | 25.0 | 60.0 | 50.0 |" in summary(r, about)
    assert "unfinished" in summary(r[(r.method == "x") | (r.source == "a")], about)
    heatmap(r)


# ---- said once ----

def test_wins_are_counted_where_corpora_are_many_and_tasks_few():
    "Resamples of corpora in which no task is drawn have no say in how many tasks were won"
    from sere_nb import tables
    rows = [(m, *t, s, 4, u, u, u, .1, 5, np.nan) for m, u in dict(sere=.5, logistic_regression=.4).items()
            for t in ("ab", "ba", "ac", "cd") for s in range(3)]
    results = pd.DataFrame(rows, columns=[*tables.COLUMNS, *tables.EXTRA])
    settings = dict(protocol=dict(name="few", note="", shots=5), encoder={"": dict(name="acoustic")},
                    speakers="known", corpora=dict(a=dict(clips=3)), version="0")
    assert "| tasks above logistic_regression |  | 4 of 4 |" in tables.summary(results, settings)


@pytest.mark.parametrize("name", ["skada", "ot", "quapy.method.aggregative"])
def test_a_rival_without_its_library_says_so_in_a_line(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    some = np.random.default_rng(0).random((6, 2))
    ask = {"skada": lambda: rivals.coral_map(some, some), "ot": lambda: rivals.transported(some, some),
           "quapy.method.aggregative": lambda: rivals.estimated_shares("em", some)}[name]
    with pytest.raises(rivals.BenchError, match=r"sere_nb\[rivals\]") as said: ask()
    assert "\n" not in str(said.value)


def test_methods_take_what_the_contract_says():
    import inspect
    takes = lambda m: list(inspect.signature(m).parameters)
    assert takes(rivals.em) == ["shots", "unlabelled", "seed", "speakers", "shared", "proba", "shares"]
    assert takes(rivals.nearest_prototype) == ["shots", "unlabelled", "seed", "speakers", "shared"]
    assert takes(rivals.self_training)[-2:] == ["rounds", "start"] and takes(rivals.jdar)[-1] == "settings"
    for method, more in ((rivals.saerens, dict(shares={})), (rivals.em, dict(colour=1)), (rivals.full_labels, {})):
        with pytest.raises(TypeError): method(None, None, **more)
