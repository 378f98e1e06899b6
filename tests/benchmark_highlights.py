"""Does the highlight carry the answer? It is cut out of the sound and the clip asked about again; it is played alone. Beside it, other stretches of the same length and like loudness. `python tests/benchmark_highlights.py [--corpora FOLDER --encoder MODEL]`; without real speech, on the sample corpus."""
import argparse, json, sys, warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

import numpy as np, pandas as pd, soundfile as sf, tempfile

from sere_nb.audio import SR, load_audio
from sere_nb.corpora import data_samples, draw_shots, read_manifest
from sere_nb.encoder import Embeddings, embed, load_encoder
from sere_nb.learner import SERE

TASKS = ("emodb", "emovo"), ("casia", "emodb")


def stretches(db, first, stop, rng, each=3):
    "Starts of other stretches: as long, apart from the highlight, and of those the likest in loudness"
    long = stop-first
    starts = np.array([a for a in range(len(db)-long+1) if a+long <= first or a >= stop])
    if not len(starts): return []
    loud = lambda a: 10*np.log10(np.mean(10**(db[a:a+long]/10))+1e-12)
    gap = np.abs([loud(a)-loud(first) for a in starts])
    near = starts[np.argsort(gap)[:max(each, len(starts)//4)]]
    return list(rng.choice(near, min(each, len(near)), replace=False))


def variants(wave, a, b):
    "The sound without a stretch, its ends faded over 5 ms, and the stretch alone"
    fade, n = np.linspace(0, 1, SR//200), SR//200
    left, right = wave[:a].copy(), wave[b:].copy()
    if len(left) > n: left[-n:] *= fade[::-1]
    if len(right) > n: right[:n] *= fade
    return np.concatenate([left, right]), wave[a:b]


def measure(name, learner, target, encoder, clips, seed=0):
    "A row of figures for one task"
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(target))[:clips]
    some = target[np.sort(rows)]
    named, proba = learner.predict(some), learner.predict_proba(some)
    fields, spans = learner.resonance(some), learner.highlights(some)
    # a peak is where an emotion has most evidence for it; where all moments speak against it, there is none
    peaks = [(k, f["heard"][f["r"][:, k].argmax()]) for f in fields for k in range(len(learner.classes_)) if f["r"][:, k].max() > 0]
    silent = [np.mean([not h for o, h in peaks if o == k]) for k in range(len(learner.classes_))]
    todo = []
    with tempfile.TemporaryDirectory() as folder:
        for i, row in enumerate(some.table.itertuples()):
            start, bin_s = row.start_s, .1
            wave = load_audio(row.file).wave.numpy()
            t0 = fields[i]["time_s"][0]-bin_s/2
            first, stop = (round((x-t0)/bin_s) for x in (spans.start_s[i], spans.end_s[i]))
            m = len(fields[i]["time_s"])
            power = np.array([np.mean(wave[round((j*bin_s)*SR):round((j+1)*bin_s*SR)]**2) if round(j*bin_s*SR) < len(wave) else 0. for j in range(m)])
            others = stretches(10*np.log10(power+1e-12), first, stop, rng)
            if not others: continue
            for what, a in [("highlight", first)]+[("other", o) for o in others]:
                for kind, sound in zip(("cut", "alone"), variants(wave, round(a*bin_s*SR), round((a+stop-first)*bin_s*SR))):
                    if len(sound) < SR//10: continue
                    file = f"{folder}/{len(todo)}.wav"
                    sf.write(file, sound, SR)
                    todo.append((i, what, kind, file, 1 if what == "highlight" else 1/len(others)))
        t = pd.DataFrame(todo, columns=["row", "what", "kind", "file", "weight"])
        asked = some.table.iloc[t.row].reset_index(drop=True).assign(path=t.file, file=t.file)[["path", "file", "language", "speaker", "corpus"]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            emb = embed(asked, encoder, cache=None, progress=False)
    assert len(emb) == len(t), emb.skipped
    p = learner.predict_proba(emb)
    k = np.array([list(learner.classes_).index(named[i]) for i in t.row])
    t["same"], t["fell"] = learner.classes_[p.argmax(1)] == named[t.row], proba[t.row, k]-p[np.arange(len(t)), k]
    mean = lambda o, column: float(np.average(o[column], weights=o.weight))
    part = {(w, kd): t[(t.what == w)&(t.kind == kd)] for w in ("highlight", "other") for kd in ("cut", "alone")}
    changed = {w: 1-mean(part[w, "cut"], "same") for w in ("highlight", "other")}
    keeps = {w: mean(part[w, "alone"], "same") for w in ("highlight", "other")}
    elsewhere = part["other", "cut"].groupby("row").fell.mean()
    more = part["highlight", "cut"].set_index("row").fell
    return dict(task=name, clips=t.row.nunique(), seconds=round(float((spans.end_s-spans.start_s).mean()), 2),
        cut_changes=round(100*changed["highlight"], 1), other_changes=round(100*changed["other"], 1), times=round(changed["highlight"]/max(changed["other"], 1e-9), 2),
        lowers=round(100*float((more > 0).mean()), 1), lowers_more=round(100*float((more[elsewhere.index] > elsewhere).mean()), 1),
        alone_keeps=round(100*keeps["highlight"], 1), other_keeps=round(100*keeps["other"], 1), times_alone=round(keeps["highlight"]/max(keeps["other"], 1e-9), 2),
        silent_peaks=round(100*float(max(silent)), 1))


def fit(source, target, shots, encoder, cache):
    "A SERE, and the clips of the target"
    e = [embed(o, encoder, cache=cache, progress=False, memory_gb=100) for o in (source, target)]
    shot = e[0].table.path.isin(shots).to_numpy()
    return SERE(seed=0).fit(e[0][np.flatnonzero(shot)], Embeddings.concat([e[0][np.flatnonzero(~shot)], e[1]])), e[1]


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--corpora", type=Path); p.add_argument("--encoder"); p.add_argument("--protocol", type=Path)
    p.add_argument("--clips", type=int, default=200); p.add_argument("--cache"); p.add_argument("-o", type=Path)
    args = p.parse_args()
    out = []
    samples = read_manifest(data_samples()/"manifest.csv")
    german = samples[samples.language == "de"]
    encoder = load_encoder("acoustic")
    drawn = german[draw_shots(german, 5, seed=0)]
    learner, target = fit(german, samples[samples.language == "it"], drawn.path.tolist(), encoder, args.cache)
    out.append(measure("samples, German to Italian (acoustic)", learner, target, encoder, args.clips))
    if args.corpora:
        encoder, protocol = load_encoder(args.encoder), json.loads(args.protocol.read_text())["tasks"]
        for source, target in TASKS:
            task = next(o for o in protocol if (o["source"], o["target"]) == (source, target))
            tables = [read_manifest(args.corpora/f"{c}.csv") for c in (source, target)]
            tables = [t[t.emotion.isin(task["emotions"])] for t in tables]
            learner, clips = fit(*tables, task["shots"]["0"], encoder, args.cache)
            out.append(measure(f"{source} to {target}", learner, clips, encoder, args.clips))
            print(pd.DataFrame(out[-1:]).T.to_string(header=False), flush=True)
    table = pd.DataFrame(out)
    print(table.T.to_string(header=False))
    if args.o: table.to_csv(args.o, index=False)
