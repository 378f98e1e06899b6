"""10,000 clips encoded and 200 fits, each in one process: its memory after a while, and at the end. `python tests/soak_long.py [--quick]`"""
import ctypes, gc, json, os, subprocess, sys, tempfile, time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import numpy as np
from soak_trust import Part

# (warm-up, all) of clips encoded, of clips through a transformer, and of fits; MB that the process may hold more at the end than after the warm-up.
# A process that kept the samples of its clips would hold some 100 kB a clip more, one that kept their frames 16 kB; one that kept its fits, about 1.5 MB a fit.
# What the allocator holds wanders by some 10 MB from machine to machine, so the quick part can tell samples and fits that are kept; frames, the full one.
FULL = dict(clips=(1000, 10_000, 20), transformer=(500, 2500, 20), fits=(20, 200, 5))
QUICK = dict(clips=(200, 600, 20), fits=(3, 19, 12))


def rss():
    "MB that the process holds, when what was let go has been given back"
    gc.collect()
    try: ctypes.CDLL(None).malloc_trim(0)
    except AttributeError: pass
    return int(Path("/proc/self/statm").read_text().split()[1])*os.sysconf("SC_PAGE_SIZE")/1e6


def sounds(seed=0):
    "Clips without end, each another: pieces of the sample corpus, at another level, with noise"
    import soundfile as sf
    from sere_nb.corpora import data_samples, read_manifest
    table, rng = read_manifest(data_samples()/"manifest.csv"), np.random.default_rng(seed)
    while True:
        row = table.iloc[rng.integers(len(table))]
        x, rate = sf.read(row.file, dtype="float32")
        n = int(rng.uniform(.4, 1)*len(x))
        at = rng.integers(len(x)-n+1)
        yield x[at:at+n]*rng.uniform(.3, 1)+rng.normal(0, .001, n).astype("float32"), rate, row


def encoded(folder, warm, total, model=None):
    "`embed` with a cache that grows, part by part, as a service that is sent clips would"
    import pandas as pd, soundfile as sf
    from sere_nb.encoder import embed, load_encoder
    make, encoder, n, keys = sounds(), load_encoder(model or "acoustic"), 0, set()
    each = 50
    next(make)
    while n<total:
        (folder/"in").mkdir(exist_ok=True)
        rows = []
        for i in range(each):
            x, rate, row = next(make)
            sf.write(folder/"in"/f"{n+i}.wav", x, rate)
            rows.append(dict(path=f"{n+i}.wav", file=str(folder/"in"/f"{n+i}.wav"), language=row.language))
        emb = embed(pd.DataFrame(rows), encoder, folder/"cache", progress=False)
        assert len(emb)==each
        keys.update(o[:12] for o in emb.table.key)
        for o in rows: os.unlink(o["file"])
        n += each
        del emb
        if n in (warm, total) or n%(total//10)==0: yield n, rss()
    assert len(keys)==total, "clips that are the same"


def fitted(folder, warm, total):
    "A fit on other shots each time, its predictions, highlights and a save"
    from sere_nb.corpora import data_samples, draw_shots, read_manifest
    from sere_nb.encoder import embed
    from sere_nb.learner import SERE
    table = read_manifest(data_samples()/"manifest.csv")
    emb = embed(table[table.language.isin(["de", "it"])].iloc[::2], "acoustic", progress=False)
    de = (emb.table.language=="de").to_numpy().nonzero()[0]
    for i in range(1, total+1):
        shot = np.zeros(len(emb), bool)
        shot[de] = draw_shots(emb[de].table, 3, i)
        s = SERE(seed=i, rounds=4).fit(emb[shot], emb[~shot])
        assert np.isfinite(s.predict_proba()).all() and len(s.highlights())==len(emb)
        SERE.load(s.save(folder/"model")).predict_proba(emb[:20])
        del s
        if i in (warm, total) or i%max(1, total//10)==0: yield i, rss()


def child(kind, folder, warm, total):
    import resource
    work = {"clips": encoded, "transformer": lambda *a: encoded(*a, model=Path(folder)/"tiny"), "fits": fitted}[kind]
    for n, mb in work(Path(folder), int(warm), int(total)): print(json.dumps([n, mb]), flush=True)
    print(json.dumps(["peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e3]))


def soak(quick=False):
    if not Path("/proc/self/statm").exists():       # not Linux
        yield dict(part="long: memory", cases=0, lost=0, note="left out: this system does not say what a process holds")
        return
    for kind, (warm, total, bound) in (QUICK if quick else FULL).items():
        part = Part(f"long: {dict(clips='clips encoded', transformer='clips through a transformer', fits='fits')[kind]}")
        with tempfile.TemporaryDirectory(prefix="soak long ") as d:
            if kind=="transformer":
                from soak_faults import tiny_model
                tiny_model(Path(d)/"tiny")
            begin = time.perf_counter()
            # oneDNN, beneath torch, keeps what it compiled for up to 1,024 shapes, some 20 MB here: no leak, so it is told to keep one
            done = subprocess.run([sys.executable, __file__, "--child", kind, d, str(warm), str(total)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=3600, env=dict(os.environ, ONEDNN_PRIMITIVE_CACHE_CAPACITY="1"))
            seconds = time.perf_counter()-begin
        held = dict(json.loads(o) for o in done.stdout.splitlines())
        part.cases = total
        if done.returncode or total not in held: part.bad(kind, f"status {done.returncode}: {done.stderr[-300:]}"); yield part.row(); continue
        most = max(v for k, v in held.items() if k!="peak" and k>warm)
        part.say.append(f"RSS {held[warm]:.0f} MB after {warm:,}, {held[total]:.0f} at {total:,} (between {most:.0f} at most); {seconds:.0f} s")
        if held[total]-held[warm]>bound: part.bad(kind, f"{held[total]-held[warm]:.1f} MB more, {1e3*(held[total]-held[warm])/(total-warm):.1f} kB for each")
        yield part.row()


if __name__=="__main__":
    if "--child" in sys.argv: child(*sys.argv[2:])
    else:
        for row in soak("--quick" in sys.argv): print(f"{row['part']}: {row['cases']} cases, {row['lost']} lost. {row['note']}", flush=True)
