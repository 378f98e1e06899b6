"""The same seed gives the same bytes; and how far other threads, other arithmetic, another order and a GPU may move a result. `python tests/soak_same.py [--quick]`"""
import itertools, json, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import numpy as np, pandas as pd, torch
from soak_faults import tiny_model
from soak_trust import Part

from sere_nb.corpora import data_samples

# What is promised where the arithmetic is not the same to the last bit. Values are float16: one step of them is 0.0005 to 0.001 of a value
FRAMES = .002       # share of the values of a view that may be off by more than two steps of float16
MEAN = 1e-3         # difference of the views' means over a clip, in standard deviations over clips; the 99.9 % quantile
PROBABILITY = .1    # difference of a probability, of 99 % of them; the mean over all may be a twentieth of that. A clip on the border of two clusters may go to the other one, and some runs then settle otherwise, so single ones move more
CHANGED = .01       # share of predictions that may be others
UAR = .01           # difference of the score over all runs

# less than what this machine has, as an old processor would
OLD = dict(ATEN_CPU_CAPABILITY="default", ONEDNN_MAX_CPU_ISA="SSE41", MKL_ENABLE_INSTRUCTIONS="SSE4_2", MKL_CBWR="COMPATIBLE", OPENBLAS_CORETYPE="Nehalem", NPY_DISABLE_CPU_FEATURES="AVX2 FMA3 AVX512F AVX512CD AVX512_SKX")
_WHEN = [(re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(, sere_nb)"), rb"WHEN\1"),                  # when a report was made
         (re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), b"PLOT")]               # plotly's names of its figures


def child(job):
    "The work of one process"
    torch.set_num_threads(job["threads"])
    from sere_nb.cli import main
    from sere_nb.corpora import read_manifest
    from sere_nb.encoder import embed
    home = Path(job["home"])
    for argv in job["commands"]*job["turns"]:
        argv = [str(home/o[1:]) if o.startswith("@") else o for o in argv]
        if argv[0]=="bench": shutil.rmtree(home/"bench", ignore_errors=True)     # it would go on where it was
        if main(argv): sys.exit(f"{argv}")
    for name, encoder in job["embeds"].items():
        emb = embed(read_manifest(job["manifest"]).sort_values("path"), encoder, home/"cache", progress=False)
        np.savez(home/f"{name}.npz", **{f"{v}|{k}": x.numpy() for v, f in emb.views.items() for k, x in (("values", f.values), ("offsets", f.offsets))})
    (home/"said.json").write_text(json.dumps(dict(threads=torch.get_num_threads(), capability=torch.backends.cpu.get_cpu_capability())))


def start(home, job, threads=1, seed=1, turns=1, env={}):
    "A process with so many threads, and with Python's own order of sets by `seed`"
    home.mkdir(parents=True)
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="passive", PYTHONHASHSEED=str(seed), SERE_CACHE=str(home/"cache"), **env)
    return subprocess.Popen([sys.executable, __file__, "--child", json.dumps(dict(job, home=str(home), threads=threads, turns=turns))], env=env, cwd=home, stdout=subprocess.DEVNULL, stderr=open(home/"stderr", "w"))


def end(part, case, process, home):
    if process.wait(1800): part.bad(case, (home/"stderr").read_text()[-300:])
    return (home/"said.json").exists()


def contents(home):
    "What a process has written, without what says when"
    found = {}
    for o in sorted(home.rglob("*")):
        if not o.is_file() or o.name in ("said.json", "stderr", "summary.md", ".sere.jsonl") or "index" in o.parts or "hf" in o.parts: continue
        data = o.read_bytes()
        if o.suffix==".html":
            for what, by in _WHEN: data = what.sub(by, data)
        if o.name=="results.csv": data = pd.read_csv(o).drop(columns="fit_s").to_csv().encode()     # seconds of a fit
        if o.suffix==".npz": data = b"".join(x.tobytes() for k, x in np.load(o).items() if k!="seconds")     # that making it took
        found[str(o.relative_to(home))] = data
    return found


def apart(part, case, a, b):
    "Two homes, compared with the tolerances: words about how far they are apart"
    words = {}
    for f in sorted(a.glob("*.npz")):
        x, y = np.load(f), np.load(b/f.name)
        for view in sorted({k.partition("|")[0] for k in x}):
            at = x[f"{view}|offsets"]
            if not np.array_equal(at, y[f"{view}|offsets"]): part.bad(case, f"{view}: other numbers of frames"); continue
            u, v = (np.nan_to_num(o[f"{view}|values"].astype(float), nan=-99) for o in (x, y))
            step = np.maximum(np.abs(u)*2.**-10, 2.**-14)
            share = float((np.abs(u-v)>2.01*step).mean())
            mean = lambda o: np.add.reduceat(o, at[:-1])/np.diff(at)[:, None]
            far = float(np.quantile(np.abs(mean(u)-mean(v))/(mean(u).std(0)+1e-6), .999))
            words[f"{f.stem} {view}"] = share, far
            if share>FRAMES: part.bad(case, f"{view}: {share:.2%} of the values are off by more than two steps")
            if far>MEAN: part.bad(case, f"{view}: means are {far:.2g} deviations apart")
    diff, changed, n, uar, both = [], 0, 0, [], sorted(o.relative_to(a) for o in a.rglob("predictions.csv"))
    for o in both:
        if not (b/o).exists(): part.bad(case, f"no {o}"); continue
        x, y = (t.iloc[t.path.map(os.path.basename).argsort()].reset_index(drop=True) for t in (pd.read_csv(h/o) for h in (a, b)))
        p, q = (t.filter(regex="^p_").to_numpy() for t in (x, y))
        diff.append(np.abs(p-q).ravel()); changed += int((x.emotion!=y.emotion).sum()); n += len(x)
        uar.append([json.loads((h/o).with_name("metrics.json").read_text())["uar"] for h in (a, b)])
    diff, (u, v) = np.concatenate(diff), np.mean(uar, 0)
    most = float(np.quantile(diff, .99))
    if most>PROBABILITY or diff.mean()>PROBABILITY/20: part.bad(case, f"one probability in 100 is {most:.3g} apart or more, {diff.mean():.2g} on average")
    if changed>max(1, CHANGED*n): part.bad(case, f"{changed} of {n} predictions are others")
    if abs(u-v)>UAR: part.bad(case, f"UAR {u:.4f} and {v:.4f}")
    worst = max(words, key=lambda k: words[k][1])
    part.say.append(f"{case}: values off {max(o for o, _ in words.values()):.2g}, clips' means {words[worst][1]:.2g} s.d. ({worst}), 99 % of probabilities within {most:.2g}, all within {diff.max():.2g}, {diff.mean():.1g} on average, {int((diff>PROBABILITY).sum())} of {len(diff)} more than {PROBABILITY} apart, {changed} of {n} predictions others, UAR {100*(v-u):+.2f} points")
    return words


def jobs(folder, quick):
    "What each process does"
    from sere_nb.evaluate import make_protocol
    data, langs = data_samples(), ("de", "it") if quick else ("de", "en", "it", "sw", "zh")
    encoders = dict(acoustic="acoustic", transformer=f"{tiny_model(folder/'tiny')}")
    run = lambda a, b, seed, out, *more: ["run", "--source", str(data/f"{a}.csv"), "--target", str(data/f"{b}.csv"), "--seed", str(seed), "--map", "pca", "--audio-mb", "1", "--out", out, "--cache", "@cache", "-q", *more]
    commands = [run(a, b, s, f"@{a}-{b}-{s}") for a, b in (itertools.permutations(langs, 2) if not quick else [("de", "it")]) for s in (0,)]
    if not quick:
        commands += [run("de", "it", 0, "@joined", "--encoder", f"{encoders['transformer']}+acoustic"), [*run("de", "it", 0, "@map"), "--map", "umap"]]
    commands.append(["predict", "--model", "@de-it-0/model", "--manifest", str(data/"it.csv"), "-o", "@predict.csv", "--cache", "@cache", "-q"])
    corpora = folder/"corpora"
    corpora.mkdir()
    for name in ("de", "it"):
        t = pd.read_csv(data/f"{name}.csv")
        t.assign(path=[str(data/o) for o in t.path])[::2 if quick else 1].to_csv(corpora/f"{name}.csv", index=False)
    protocol = folder/"protocol.json"
    protocol.write_text(json.dumps(make_protocol(corpora, ["de", "it"], seeds=range(1 if quick else 2), name="same")))
    commands.append(["bench", "--protocol", str(protocol), "--corpora", str(corpora), "--encoder", "acoustic", "--out", "@bench", "--clips", "--cache", "@cache", "-q", *(["--methods", "sere,logistic_regression"] if quick else [])])
    return dict(commands=commands, embeds=encoders, manifest=str(data/("it.csv" if quick else "manifest.csv")))


def shuffled(folder, job):
    "The same commands, with manifests in another order"
    job, to = json.loads(json.dumps(job)), folder/"shuffled"
    to.mkdir()
    data = str(data_samples())
    for name in ("de", "en", "it", "sw", "zh"):
        t = pd.read_csv(data_samples()/f"{name}.csv")
        t.assign(path=[f"{data}/{o}" for o in t.path]).sample(frac=1, random_state=3).to_csv(to/f"{name}.csv", index=False)
    job["commands"] = [[str(to/Path(o).name) if o.startswith(data) else o for o in argv] for argv in job["commands"] if argv[0]=="run"]
    return job


def soak(quick=False):
    with tempfile.TemporaryDirectory(prefix="soak same ") as d:
        d = Path(d).resolve()
        job = jobs(d, quick)
        part = Part("same: two processes, same seed")
        a, b, c = d/"a", d/"b", d/"c"
        # the second does all of it twice: outputs are replaced, clips come from the cache, and the process has done other things before
        running = [(o, start(o, job, **how)) for o, how in ((a, {}), (b, dict(seed=2, turns=2)))]
        if quick: running.append((c, start(c, dict(job, commands=job["commands"][:1]), threads=2)))
        here = [end(part, o.name, p, o) for o, p in running]
        if not all(here[:2]): yield part.row(); return
        x, y = contents(a), contents(b)
        part.cases = len(x)
        for k in sorted(set(x)|set(y)):
            if x.get(k)!=y.get(k): part.bad(k, "other bytes" if k in x and k in y else "only once")
        part.say.append(f"{sum(k.endswith('predictions.csv') for k in x)} predictions.csv, {sum(k.endswith('metrics.json') for k in x)} metrics.json, models, reports (without their date), a bench (without seconds), {sum(k.endswith('safetensors') and 'cache' in k for k in x)} clips of the cache")
        yield part.row()

        part = Part("same: 1 thread and 2")
        part.cases = 1
        if not quick: end(part, "2 threads", start(c, job, threads=2), c)
        if json.loads((c/"said.json").read_text())["threads"]!=2: part.bad("2 threads", "there was 1")
        apart(part, "2 threads", b, c)
        yield part.row()
        if quick: return

        part = Part("same: a processor without AVX")
        part.cases = 1
        if end(part, "old", start(d/"old", job, env=OLD), d/"old"):
            if (told := json.loads((d/"old"/"said.json").read_text())["capability"])!="DEFAULT": part.bad("old", f"it computed with {told}")
            apart(part, "old", b, d/"old")
        yield part.row()

        # other clips are then drawn where some stand for all, as with another seed: the frames must be the same; how far results move is only told
        part, told = Part("same: manifests in another order"), Part("order")
        part.cases = 1
        if end(part, "order", start(d/"order", shuffled(d, job)), d/"order"):
            for view, (share, far) in apart(told, "order", b, d/"order").items():
                if share or far: part.bad("order", f"{view}: other values")
            part.say += [o for o in told.say if o.startswith("order: values off")]
        yield part.row()

        part = Part("same: CPU and GPU")
        if torch.cuda.is_available():
            part.cases = 1
            cpu = d/"cpu"
            if end(part, "GPU", start(cpu, job, env=dict(CUDA_VISIBLE_DEVICES="")), cpu): apart(part, "GPU", cpu, b)
        else: part.say.append("left out: there is no GPU here")
        yield part.row()


if __name__=="__main__":
    if "--child" in sys.argv: child(json.loads(sys.argv[-1]))
    else:
        for row in soak("--quick" in sys.argv): print(f"{row['part']}: {row['cases']} cases, {row['lost']} lost. {row['note']}", flush=True)
