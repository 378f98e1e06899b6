"""Folders that others made: a cache, shards, an encoder, results of a bench, each changed in thousands of ways that keep its form. The same answers or one clear line; no traceback, no hang, little memory. `python tests/soak_folders.py [--quick]`"""
import json, os, random, shutil, subprocess, sys, tempfile, threading, time, warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from soak_trust import Part, _paths, _put

SLOW_S = 10.
MEMORY = 1.5e9      # more than before, for a case
KINDS = ("cache", "shards", "encoder", "bench")
ODD = [None, True, 0, -1, 2.5, 5, 1e308, 10**12, 10**30, "", "x", "a\0b", "a\nb\x1b[31m", "../../x", "x"*5000, [], {}, [[]], [None], [0]*7, [10**9]*7, {"": {}}, list(range(3000)), float("nan"), float("inf"), "\ud800"]


# -- changes to a file, whatever it holds

def odd_file(file, rng):
    "In its place something that is no such file"
    way = rng.choice(["gone", "empty", "folder", "pipe", "zero", "cut", "flip", "noise", "huge", "deep", "loop", "text"])
    data = file.read_bytes()
    file.unlink()
    if way=="empty": file.touch()
    elif way=="folder": file.mkdir()
    elif way=="pipe": os.mkfifo(file)
    elif way=="zero": file.symlink_to("/dev/zero")
    elif way=="loop": file.symlink_to(file.name)
    elif way=="cut": file.write_bytes(data[:rng.randrange(max(1, len(data)))])
    elif way=="noise": file.write_bytes(rng.randbytes(3000))
    elif way=="text": file.write_text("no\nsuch,thing\n")
    elif way=="deep": file.write_bytes(rng.choice([b"[", b'{"a":'])*100_000)
    elif way=="huge":
        file.write_bytes(data)
        os.truncate(file, 40*2**30)
    elif way=="flip" and data:
        data = bytearray(data)
        data[rng.randrange(len(data))] ^= 1<<rng.randrange(8)
        file.write_bytes(data)
    elif way=="flip": file.touch()
    return f"{file.name} {way}"


def odd_json(file, rng, some=()):
    "One value of it is another; it is still JSON"
    told = json.loads(file.read_text())
    places = list(_paths(told))
    at, value = rng.choice([o for o in places if o[0] in some] or places if rng.random()<.7 else places), rng.choice(ODD)
    if rng.random()<.15: value = at = None; told = rng.choice(ODD)
    elif rng.random()<.2:
        o = told
        for k in at[:-1]: o = o[k]
        del o[at[-1]]
        value = "missing"
    else: _put(told, at, value)
    file.write_text(json.dumps(told), errors="surrogatepass")
    return f"{file.name} {at} {ascii(value)[:40]}"


# -- a cache

def make_cache(folder):
    from conftest import make_corpus
    from sere_nb.corpora import read_manifest
    from sere_nb.encoder import embed
    table = read_manifest(make_corpus(folder, clips=1, language="aa"))
    embed(table, "acoustic", folder/"good", progress=False)
    table.to_pickle(folder/"table")

def change_cache(folder, rng):
    import torch
    from safetensors.torch import load_file
    from sere_nb import cache as enc
    files = sorted(o for o in folder.rglob("*") if o.is_file())
    index, entries = next(o for o in files if o.suffix==".jsonl"), [o for o in files if o.suffix==".safetensors"]
    way = rng.randrange(4)
    if way==0: return odd_file(rng.choice(files), rng)
    if way==1:      # lines of the right checksum, and another word in them
        lines = [json.loads(o)[:-1] for o in index.read_text().splitlines()]
        line = lines[rng.randrange(len(lines))]
        at = rng.choice([0, 1, 2, 3, 4, 4, 4, 4])
        line[at] = rng.choice(ODD)
        if rng.random()<.2: line[:] = rng.choice([[], [1], line*2, [list(line)], [{}]*5])
        index.write_text("".join(map(enc._line, lines)), errors="surrogatepass")
        return f"index {at} {ascii(line)[-60:]}"
    if way==2: return odd_json(next(o for o in files if o.name=="settings.json"), rng)
    entry = rng.choice(entries)
    t = load_file(entry)
    name = rng.choice(sorted(t))
    x = t[name]
    ways = [x[None], x.flatten(), x[..., :-1], x.new_zeros(()), x.new_zeros(0), x.new_zeros(10**6, 0), x.new_zeros(*x.shape[:-1], x.shape[-1]+1), x.double(), x.float(), x.to(torch.int64), x.to(torch.bool), x.new_zeros(10**6, 24),
            torch.zeros(3, dtype=torch.float64), torch.tensor([float("nan"), 1.]).double(), torch.tensor([-1., 1e300]).double(), torch.tensor([0., 0.]).double(), None]
    new = rng.choice(ways)
    if new is None: del t[name]
    else: t[name] = new.contiguous().clone()
    if rng.random()<.1: t["x"*rng.choice([1, 3000])] = torch.zeros(2)
    entry.write_bytes(enc._packed(t))
    return f"entry {name} {None if new is None else (str(new.dtype), tuple(new.shape))}"

def judge_cache(folder, good):
    import pandas as pd, torch
    from sere_nb.encoder import embed
    table = pd.read_pickle(good.parent/"table")
    emb, want = embed(table, "acoustic", folder, progress=False), embed(table, "acoustic", None, progress=False)
    for v, f in want.views.items():
        g = emb.views[v]
        if not torch.equal(f.offsets, g.offsets): return f"{v}: other lengths"
        # what a valid checksum covers and has the right shape cannot be told from what was written
        if g.values.dtype!=f.values.dtype or g.values.shape!=f.values.shape: return f"{v}: {g.values.dtype} {tuple(g.values.shape)}"


# -- shards

def make_shards(folder):
    from conftest import make_corpus
    from sere_nb.cluster import encode_shards
    from sere_nb.corpora import read_manifest
    table = read_manifest(make_corpus(folder, clips=1, language="aa"))
    encode_shards(table, "acoustic", folder/"good", each=2, workers=0, progress=False)
    table.to_pickle(folder/"table")

def change_shards(folder, rng):
    import numpy as np, pyarrow as pa, pyarrow.parquet as pq
    from sere_nb import shards, stores
    files = sorted(o for o in folder.rglob("*") if o.is_file())
    parquet = [o for o in files if o.suffix==".parquet"]
    way = rng.randrange(5)
    if way==0: return odd_file(rng.choice(files), rng)
    if way<=2: return odd_json(folder/"about.json", rng, ("format", "manifest", "encoder", "clips", "each", "shards", "settings"))
    file = rng.choice(parquet)
    table, name = pq.read_table(file), file.relative_to(folder).as_posix()
    meta = {k: v for k, v in (table.schema.metadata or {}).items() if k!=shards._SEAL}
    n, i = len(table), rng.randrange(table.num_columns)
    field, kind = table.schema.field(i), rng.randrange(8)
    if kind==0: table = table.drop_columns([field.name])
    elif kind==1: table = table.set_column(i, field.name, pa.array(rng.choice([["x"]*n, [None]*n, [1]*n, [1.5]*n, [[1.]]*n, [["x"]]*n, [{"a": 1}]*n, [True]*n, [b"\xff"]*n, [float("inf")]*n, ["x"*100_000]*n])))
    elif kind==2: table = table.append_column(field, table[i])
    elif kind==3: table = table.rename_columns([*table.column_names[:i], rng.choice(["", "row", "error", "path", "x"*3000, "acoustic", "a\0b"]), *table.column_names[i+1:]])
    elif kind==4:       # metadata of a view
        views = [j for j, f in enumerate(table.schema) if f.metadata and b"sere_nb" in f.metadata] or [i]
        j = rng.choice(views)
        field = table.schema.field(j)
        about = json.loads((field.metadata or {}).get(b"sere_nb", b"{}"))
        if about and rng.random()<.8: about[rng.choice(sorted(about))] = rng.choice(ODD)
        else: about = rng.choice(ODD)
        text = json.dumps(about).encode("utf8", "surrogatepass") if rng.random()<.9 else rng.choice([b"", b"\xff", b"["*100_000])
        table = table.set_column(j, field.with_metadata({"sere_nb": text}), table[j])
    elif kind==5: meta = rng.choice([{}, {b"sere_nb": b"5"}, {b"sere_nb": b"["*50_000}, {b"sere_nb": meta.get(b"sere_nb", b"{}"), b"made": rng.choice([b"5", b"\xff", b"["*50_000])}, {b"sere_nb": json.dumps(rng.choice(ODD[:20])).encode("utf8", "surrogatepass")}])
    elif kind==6: table = rng.choice([table[:0], table[:1], pa.concat_tables([table]*3)])
    else:               # very much in little
        big = rng.choice([10**5, 2*10**6])
        table = pa.table({f.name: pa.nulls(big, f.type) for f in table.schema}, schema=table.schema) if rng.random()<.5 else table.set_column(i, field.name, pa.array([[0.]*(big//100)]*n, pa.list_(pa.float32())))
    shards._write_parquet(stores._Folder(folder), name, table.replace_schema_metadata(meta))
    return f"{name} {field.name[:20]} {kind}"

def judge_shards(folder, good):
    import pandas as pd
    from sere_nb.cluster import encode_shards, read_shards, shard_manifest
    why = None
    for work in (lambda: shard_manifest(folder), lambda: read_shards(folder), lambda: read_shards(folder, memory_gb=1e-6).load(),
                 lambda: encode_shards(pd.read_pickle(good.parent/"table"), "acoustic", folder, each=2, workers=0, progress=False)):
        try: work()
        except ValueError as e: why = one_line(e) or why
    return why


# -- an encoder

def make_encoder(folder):
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model
    torch.manual_seed(0)
    model = Wav2Vec2Model(Wav2Vec2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, vocab_size=12, conv_dim=(8,)*7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2))
    model.save_pretrained(folder/"good")
    Wav2Vec2FeatureExtractor().save_pretrained(folder/"good")

def change_encoder(folder, rng):
    import torch
    from safetensors.torch import load_file, save_file
    way = rng.randrange(4)
    if way==0: return odd_file(rng.choice(sorted(folder.iterdir())), rng)
    if way==1: return odd_json(folder/"preprocessor_config.json", rng)
    if way==2: return odd_json(folder/"config.json", rng, ("model_type", "conv_stride", "conv_kernel", "conv_dim", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "feat_extract_norm", "hidden_act", "num_conv_pos_embeddings", "num_conv_pos_embedding_groups"))
    t = load_file(folder/"model.safetensors")
    name = rng.choice(sorted(t))
    fill, every = rng.choice([float("nan"), float("inf"), 1e30, 0., -1e20]), rng.random()<.3
    for k in t if every else [name]: t[k] = torch.full_like(t[k], fill)
    if rng.random()<.3: t[name] = rng.choice([t[name][None], t[name].flatten()[:-1], t[name].new_zeros(0), t[name].to(torch.int64)]).contiguous().clone()
    save_file(t, folder/"model.safetensors", metadata={"format": "pt"})
    return f"weights {'all' if every else name} {fill}"

def judge_encoder(folder, good):
    from sere_nb.audio import toy_voice
    from sere_nb.encoder import load_encoder
    for x in load_encoder(folder, device="cpu", dtype="float32").encode([toy_voice(.5)])[0].values():
        if not x.isfinite().all(): return "values that are not finite"


# -- results of a bench

SETTINGS = dict(encoder="acoustic", speakers="known", protocol="x")

def make_bench(folder):
    from sere_nb import results
    row = dict.fromkeys([*results.COLUMNS, *results.EXTRA], .5)|dict(method="sere", source="aa", target="bb", n_classes=4)
    results._open_results(folder/"good", SETTINGS)
    for seed in range(3): results._append(folder/"good"/"results.csv", row|dict(seed=seed))

def change_bench(folder, rng):
    way = rng.randrange(3)
    if way==0: return odd_file(folder/rng.choice(["bench.json", "results.csv"]), rng)
    if way==1: return odd_json(folder/"bench.json", rng)
    lines = [o.split(",") for o in (folder/"results.csv").read_text().splitlines()]
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines[0]))
    lines[i][j] = rng.choice(["", "x", "nan", "inf", "-1", "1e400", "9"*400, "\"", "0x5", "x"*100_000, "\x00", "é"])
    (folder/"results.csv").write_bytes("\n".join(map(",".join, lines)).encode("utf8")+b"\n")
    return f"results {i} {j} {lines[i][j][:20]!r}"

def judge_bench(folder, good):
    from sere_nb import results
    done = results._open_results(folder, SETTINGS)
    if not (done[["uar", "wa"]].notna().all().all() and (done.seed>=0).all()): return f"took {done.to_dict('records')[:1]}"


# -- the watched process

def one_line(e):
    "What is wrong with an error of ours; '' if nothing"
    text = str(e)
    if not type(e).__module__.startswith("sere_nb."): return f"{type(e).__module__}.{type(e).__name__}: {text[:200]}"
    return "" if text and "\n" not in text and len(text)<900 else f"not one clear line: {text[:200]!r}"


def cases(kind, folder, first, n):
    "A line for each case on stdout"
    import resource
    good = Path(folder)/"good"
    say = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    make, change, judge = (globals()[f"{o}_{kind}"] for o in ("make", "change", "judge"))
    if not good.exists(): make(Path(folder))
    judge(shutil.copytree(good, Path(folder)/"warm"), good)         # what is loaded once
    shutil.rmtree(Path(folder)/"warm")
    for i in range(first, n):
        rng = random.Random(f"{kind} {i}")
        at = Path(folder)/"case"
        shutil.rmtree(at, ignore_errors=True)
        shutil.copytree(good, at)
        name = change(at, rng)
        print(json.dumps(dict(begin=name, i=i)), file=say, flush=True)
        now = int(Path("/proc/self/statm").read_text().split()[0])*resource.getpagesize() if sys.platform=="linux" else 0
        soft = now+int(MEMORY) if now else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))
        start = time.perf_counter()
        try: why = judge(at, good)
        except ValueError as e: why = one_line(e)
        except Exception as e: why = f"{type(e).__name__}: {str(e)[:200]}"
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,)*2)
        print(json.dumps(dict(name=name, why=why or "", s=time.perf_counter()-start)), file=say, flush=True)
    print(json.dumps(dict(end=n)), file=say, flush=True)


def watched(kind, folder, n):
    "One kind of folder, changed `n` times"
    part, first, slow, done = Part(f"folders: {kind}"), 0, (0, ""), False
    while not done:
        child = subprocess.Popen([sys.executable, __file__, "--cases", kind, str(folder), str(first), str(n)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", stdin=subprocess.DEVNULL,
                                 env=dict(os.environ, PYTHONPATH=str(HERE.parent), HF_HUB_OFFLINE="1"))
        errors, alarm, begun = [], None, None
        threading.Thread(target=lambda: errors.extend(child.stderr), daemon=True).start()
        for line in child.stdout:
            if alarm: alarm.cancel()
            o = json.loads(line)
            if "end" in o: done, part.cases = True, o["end"]
            elif "begin" in o:
                begun, first = o["begin"], o["i"]+1
                alarm = threading.Timer(6*SLOW_S, child.kill); alarm.start()
            else:
                begun = None
                slow = max(slow, (o["s"], o["name"]))
                if o["why"]: part.bad(f"{first-1} {o['name']}", o["why"])
                elif o["s"]>SLOW_S: part.bad(f"{first-1} {o['name']}", f"{o['s']:.1f} s")
        if alarm: alarm.cancel()
        status = child.wait()
        if not done:
            part.bad(begun or "start", f"the process ended with {status}: {''.join(errors)[-300:]}")
            if not begun: break
    part.say.append(f"slowest {slow[0]:.1f} s ({slow[1][:60]})")
    return part


def soak(quick=False, folder=None, kinds=KINDS):
    "Yields a dict a part: part, cases, lost, note"
    with tempfile.TemporaryDirectory(prefix="soak folders ", ignore_cleanup_errors=True) as made:
        for kind in kinds:
            (at := Path(folder or made).resolve()/kind).mkdir(parents=True)
            yield watched(kind, at, 60 if quick else 2000).row()


if __name__=="__main__":
    if "--cases" in sys.argv: cases(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        for row in soak("--quick" in sys.argv, kinds=[o for o in KINDS if o in sys.argv] or KINDS): print(f"{row['part']}: {row['cases']} cases, {row['lost']} lost. {row['note']}", flush=True)
