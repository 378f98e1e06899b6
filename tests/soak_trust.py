"""What must never happen with files from strangers: code that runs, a traceback, a file read or written that nobody named, a word to the network. `python tests/soak_trust.py [--quick]`"""
import contextlib, ctypes, functools, io, json, os, random, re, select, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time, warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

HANG_S = 60.        # a case must not take longer
SLOW_S = 10.
MEMORY = 2e9        # more than before, for a case


class Part:
    "A part of the soak: cases that broke the promise, and the first of them"
    def __init__(self, name): self.name, self.cases, self.lost, self.worst, self.say = name, 0, set(), [], []
    def bad(self, case, why):
        self.lost.add(case)
        self.worst.append(f"{str(case)[:60]!r}: {str(why)[:300]}")
    def row(self): return dict(part=self.name, cases=self.cases, lost=len(self.lost), note="; ".join([*self.say, *self.worst[:5]]))


# -- what is watched

# Python's own word of what it opens, asks of the network and unpickles, from this process and those it starts
HOOK = '''
import os, sys
def _note(event, args):
    try:
        if event in ("socket.connect", "socket.sendto"): what = args[1]
        elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request", "ftplib.connect", "smtplib.connect"): what = args[0]
        elif event=="pickle.find_class": what = ".".join(map(str, args))
        elif event=="os.system" or event=="subprocess.Popen": what = args[0]
        elif event=="open" and isinstance(args[0], (str, bytes)): what = (os.path.abspath(os.fsdecode(args[0])), args[1], args[2])
        else: return
        fd = os.open(os.environ["SERE_TRUST_LOG"], os.O_WRONLY|os.O_APPEND|os.O_CREAT) if event!="open" or "--opens" in os.environ.get("SERE_TRUST", "") else None
        if fd is not None: os.write(fd, (event+"\\t"+repr(what)+"\\t"+" ".join(sys.argv[:2])+"\\n").encode("utf8", "backslashreplace")); os.close(fd)
    except Exception: pass
if "SERE_TRUST_LOG" in os.environ: sys.addaudithook(_note)
'''
_LOOPBACK = re.compile(r"^\(?['\"]?(127\.|::1|localhost|/|\\x00|0\.0\.0\.0)|^b?['\"]?(127\.|localhost|/)|^''|^None")


class Listener:
    "A server on this machine that nobody should ask; `asked` has the first lines of who did"
    def __init__(self):
        self.server, self.stop, self.asked = socket.create_server(("127.0.0.1", 0)), threading.Event(), []
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        self.server.settimeout(.2)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while not self.stop.is_set():
            try: c, _ = self.server.accept()
            except OSError: continue
            with c:
                c.settimeout(1)
                try: self.asked.append((c.recv(200).decode("latin1").splitlines() or [""])[0])
                except OSError: self.asked.append("?")

    def __enter__(self): return self
    def __exit__(self, *_): self.stop.set(); self.server.close()


class Recorded(Listener):
    "Programs whose words to the network are written down: by Python's hooks, by proxies that nobody should ask"
    def __init__(self, folder):
        super().__init__()
        self.folder, self.log = Path(folder), Path(folder)/"events.log"
        (self.folder/"site").mkdir(parents=True)
        (self.folder/"site"/"sitecustomize.py").write_text(HOOK)

    def env(self, **more):
        proxy = f"http://{self.address}"
        base = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and k not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")}
        # fontconfig needs a home; where none of the hub's files are
        return base|dict(SERE_TRUST_LOG=str(self.log), PYTHONPATH=os.pathsep.join([str(self.folder/"site"), str(HERE.parent)]), SERE_CACHE=str(self.folder/"cache"), HF_HOME=str(self.folder/"hub"), PYTHONIOENCODING="utf-8",
                         **{k: proxy for k in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "ftp_proxy")})|more

    def run(self, argv, cut=False, timeout=300, **env):
        return subprocess.run([*(("unshare", "-rn") if cut else ()), *map(str, argv)], env=self.env(**env), capture_output=True, text=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL, timeout=timeout, cwd=self.folder)

    def events(self, *kinds): return [tuple(o.split("\t")) for o in (self.log.read_text().splitlines() if self.log.exists() else []) if not kinds or o.split("\t")[0] in kinds]

    def attempts(self):
        "Words to others than this machine; how many to itself"
        all_ = [*self.events("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request", "ftplib.connect", "smtplib.connect")]
        own = [o for o in all_ if _LOOPBACK.match(o[1]) and not o[1].startswith(f"('127.0.0.1', {self.address.rpartition(':')[2]}")]
        return [" ".join(o) for o in all_ if o not in own]+[f"proxy asked for {o}" for o in self.asked], len(own)


def can_cut(): return bool(shutil.which("unshare")) and subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode==0


class Watched:
    "Who opens what lies in a folder: the kernel's word, so of any language. `names` is None where there is no such thing"
    def __init__(self, folder):
        self.names, self.fd = None, None
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            self.fd = libc.inotify_init1(os.O_NONBLOCK)
            if self.fd>=0 and libc.inotify_add_watch(self.fd, os.fsencode(folder), 0x20|0x2|0x100|0x200)>=0: self.names = []      # open, modify, create, delete
        except (OSError, AttributeError): pass

    def read(self):
        "Files since the last time"
        while self.names is not None and select.select([self.fd], [], [], .05)[0]:
            data, at = os.read(self.fd, 1<<16), 0
            while at<len(data):
                _, _, _, n = struct.unpack_from("iIII", data, at)
                self.names.append(data[at+16:at+16+n].rstrip(b"\0").decode("utf8", "replace"))
                at += 16+n
        if self.names is None: return []
        found, self.names = [o for o in self.names if o], []       # without a name: the folder itself was listed
        return found


# -- saved models

_ODD = [None, True, 0, -1, 2.5, 1e308, 10**30, "", "x", "../../secret/canary", "/etc/passwd", "a\nb\x00\x1b[31m", "x"*5000, [], {}, [[]], [None], {"": {}}, list(range(3000)), float("inf"), float("nan"), "\ud800", "__class__", "<script>"]


def _paths(o, at=()):
    "Every place in JSON"
    for k, v in (o.items() if isinstance(o, dict) else enumerate(o) if isinstance(o, list) else ()):
        yield (*at, k)
        yield from _paths(v, (*at, k))


def _put(o, path, value):
    for k in path[:-1]: o = o[k]
    o[path[-1]] = value


# Each changes (meta, tensors) in place and says what must come of it: 'refused', or 'either' a refusal or finite answers
def json_odd(m, t, rng):
    _put(m, rng.choice(list(_paths({k: v for k, v in m.items() if k!="seal"}))), rng.choice(_ODD))
    return "either"
def json_missing(m, t, rng): del m[rng.choice([k for k in m if k!="seal"])]; return "refused"
def json_extra(m, t, rng): m[rng.choice(["../x", "auto_map", "__reduce__", "x"*1000])] = rng.choice(_ODD[:20]); return "refused"
def json_name(m, t, rng):
    names = m["names"][rng.choice([k for k, o in m["names"].items() if o])]
    names[rng.randrange(len(names))] = rng.choice(["../../secret/canary", "/etc/passwd", "", "a/b", "x"*5000, "\x00", "acoustic"])
    return "either"
def json_family(m, t, rng): k = rng.choice(list(m["names"])); m["names"][rng.choice(["../"+k, k+"/x", "basis", "voices/", "nobody"])] = m["names"].pop(k); return "either"
def json_twice(m, t, rng): names = m["names"][rng.choice([k for k, o in m["names"].items() if o])]; names.append(names[0]); return "refused"
def json_classes(m, t, rng): m["classes"] = rng.choice([m["classes"][:1], m["classes"]*2, [*m["classes"], "awe"], [""]*len(m["classes"]), [1]*len(m["classes"]), "abc", {}, [["a"], ["b"]]]); return "refused"
def json_setting(m, t, rng):
    k = rng.choice(list(m["settings"]))
    m["settings"][k] = rng.choice([10**12, -1, 1e-300, 2**31, 0, [10**9]*100, "64", None, float("nan")])
    return "either"
def json_dims(m, t, rng): m["settings"]["dims"] = rng.choice([1, 63, 65, 65536, 10**9]); return "refused"
def _some(t, rng): return rng.choice(sorted(t))
def tensor_missing(m, t, rng): del t[_some(t, rng)]; return "refused"
def tensor_extra(m, t, rng): t[rng.choice(["../../secret/canary", "/etc/passwd", "basis/0/2", "structure/1/0", "x"*3000, "basis/999999999/0"])] = t[_some(t, rng)].clone(); return "refused"
def tensor_shape(m, t, rng):
    n = _some(t, rng); x = t[n]
    ways = [x[None], x.flatten()[:-1] if x.ndim==1 else x.flatten(), x[..., :-1], x[:-1], x.new_zeros(()), x.new_zeros(0), x.new_zeros(10**6, 0), x.new_zeros(0, 2**30), x.new_zeros(*x.shape, 1)]
    if x.ndim>1 and x.shape[0]!=x.shape[1]: ways.append(x.transpose(0, 1))
    if len(x)>1 and x.ndim>1: ways += [x.reshape(1, *x.shape)]
    t[n] = rng.choice(ways).contiguous().clone()
    return "either" if n.startswith("basis/") and t[n].ndim==2 else "refused"       # fewer components are a smaller model
def tensor_dtype(m, t, rng):
    import torch
    n = _some(t, rng)
    t[n] = t[n].to(rng.choice([o for o in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn) if o!=t[n].dtype]))
    return "refused"
def tensor_value(m, t, rng):
    n = rng.choice([k for k in sorted(t) if t[k].is_floating_point()])
    v = t[n].view(-1)
    v[rng.randrange(len(v))] = rng.choice([float("nan"), float("inf"), -float("inf"), 3e38, -1e11])
    return "refused"
def tensor_scale(m, t, rng):
    n = rng.choice([k for k in sorted(t) if t[k].is_floating_point()])
    t[n] = (t[n]*0+rng.choice([0., 1e10, -1e10, 1e-40, -1.])).clamp(-1e10, 1e10) if rng.random()<.5 else (t[n]*rng.choice([1e8, -1e8, 1e-30])).clamp(-1e10, 1e10)
    return "either"
def tensor_all(m, t, rng):
    import torch
    for n in t: t[n] = torch.full_like(t[n], rng.choice([0, 1, 1e10, -1e10])) if t[n].is_floating_point() else t[n]
    return "either"
def tensor_swapped(m, t, rng): a, b = rng.sample(sorted(t), 2); t[a], t[b] = t[b], t[a]; return "either"
def tensor_cut_together(m, t, rng):
    "Wrong, but wrong everywhere alike: the structure of another number of emotions, a view fewer"
    t["structure/0/1"] = t["structure/0/1"][:, :1].clone() if rng.random()<.5 else t["structure/0/1"][:-1].clone()
    return "refused"


CHANGES = [json_odd, json_missing, json_extra, json_name, json_family, json_twice, json_classes, json_setting, json_dims, tensor_missing, tensor_extra, tensor_shape, tensor_shape, tensor_dtype, tensor_value, tensor_scale,
           tensor_all, tensor_swapped, tensor_cut_together]


# Damage to the two files as they are: (json, safetensors) bytes in and out
def cut(j, w, rng): return (j[:rng.randrange(len(j))], w) if rng.random()<.5 else (j, w[:rng.randrange(len(w))])
def flip(j, w, rng):
    w = bytearray(w); i = rng.randrange(len(w)); w[i] ^= 1<<rng.randrange(8)
    return j, bytes(w)
def flip_json(j, w, rng):
    j = bytearray(j); i = rng.choice([k for k, c in enumerate(j) if c not in b" \n"]); j[i] ^= 1<<rng.randrange(7)
    return bytes(j), w
def garbage(j, w, rng): return (rng.randbytes(3000), w) if rng.random()<.5 else (j, rng.randbytes(3000))
def empty(j, w, rng): return (b"", w) if rng.random()<.5 else (j, b"")
def exchanged(j, w, rng): return w, j
def header(j, w, rng): return j, struct.pack("<Q", rng.choice([0, 1, 2**20, 2**40, 2**63, 2**64-1]))+w[8:]
def header_text(j, w, rng):
    n = struct.unpack("<Q", w[:8])[0]
    text = rng.choice([b"[]", b"{", b'{"a":'*3000, b'{"a":{"dtype":"F32","shape":[9223372036854775807,2],"data_offsets":[0,4]}}', b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
                       b'{"../../x":{"dtype":"OBJ","shape":[1],"data_offsets":[0,4]}}', w[8:8+n].replace(b'"F32"', b'"F64"', 1)])
    return j, struct.pack("<Q", len(text))+text+w[8+n:]
def deep(j, w, rng): return rng.choice([b"["*100_000, b'{"version":'*100_000, b'{"version":5,"names":'+b"["*50_000+b"]"*50_000+b"}", b'{"version":'+b"9"*5000+b"}", j.replace(b'"version"', b'"version": 5, "version"', 1)[:-3]]), w
def pickled(j, w, rng): return j, EVIL
def other_json(j, w, rng): return rng.choice([b"null", b"5", b'"x"', b"[]", b"{}", b"true", b'{"version": 4}', b'{"version": [5]}', b'{"version": 5}', j.decode().encode("utf-16"), b"NaN"]), w
def tail(j, w, rng): return (j+b"x", w) if rng.random()<.5 else (j, w+b"x"*rng.choice([1, 4, 4000]))
def pretty(j, w, rng): return json.dumps(json.loads(j), indent=rng.choice([None, 0, 7]), sort_keys=rng.random()<.5).encode(), w     # means the same


DAMAGE = [cut, cut, flip, flip, flip_json, garbage, empty, exchanged, header, header_text, deep, pickled, other_json, tail, pretty]


class Touch:
    "A pickle that leaves a file behind when it is opened"
    def __init__(self, path): self.path = str(path)
    def __reduce__(self): return open, (self.path, "w")


EVIL = b""      # set once a folder is known


def encoder_json(rng, good):
    "What a stranger may write for an encoder"
    about = json.loads(json.dumps(good))
    one = next(iter(about["languages"].values()))
    kind = rng.randrange(5)
    if kind==0: _put(about, rng.choice(list(_paths(about))), rng.choice(_ODD))
    elif kind==1: one["encoder"] = rng.choice(["../secret", "../../secret", "secret/../../x", "/etc", "/proc/self/fd", "~/x", "~nobody/x", "//host/share", "\\\\host\\share\\model", "http://example.org/model", "file:///etc/passwd", "-rf", "a\nb", ".", "..", "", " ", "acoustic+acoustic", "x"*3000, "\x00"])
    elif kind==2: one["encoder"] = rng.choice(["someone/model", "someone/model@main", "model", "someone/model+acoustic", "someone/model@refs/pr/1", "a/../b", "a/b@../../c"])
    elif kind==3: one["settings"] = rng.choice([*_ODD, dict(layers=[10**18]), dict(layers=["1"]), dict(layers={"a": 1}), dict(parts=[dict(layers=[1], dtype="load")]), dict(parts="x"), dict(layers=[1]*5000, dtype="__class__"), dict(parts=[[["layers"]]])])
    else: return rng.choice([b"[]", b"{", b"", b"null", b'{"languages": 5}', b'{"languages": {}}', b'{"languages": {"bb": null}}', b"["*100_000, b'{"languages": '+b'{"a":'*60_000, json.dumps(about).encode()[:-20]])
    return json.dumps(about).encode()


def models(folder, first, quick):
    "The watched process: a line for each case on stdout"
    global EVIL
    import pickle, resource
    import numpy as np, torch
    from sere_nb import learner as L, saved
    from sere_nb.cli import main
    from sere_nb.corpora import read_manifest
    from sere_nb.encoder import Embeddings, Frames, embed
    from safetensors.torch import load_file, save_file
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    say = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    target, goods = fits(folder)
    with open(folder/"evil", "wb") as f: pickle.dump(Touch(folder/"PICKLE RAN"), f)
    EVIL = (folder/"evil").read_bytes()
    network, pickles = [], []
    def hook(event, args):
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"): network.append(str(args)); raise OSError("no network here")
        if event=="pickle.find_class": pickles.append(str(args))
    sys.addaudithook(hook)
    secret = folder/"secret"
    watched, before = Watched(secret), sorted(str(o) for o in folder.rglob("*"))
    soft = int(Path("/proc/self/statm").read_text().split()[0])*resource.getpagesize()+int(MEMORY) if sys.platform=="linux" else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))
    changes, damages, specs = (len(CHANGES), len(DAMAGE), 14) if quick else (len(CHANGES)*64, len(DAMAGE)*32, 320)
    n = changes+damages+specs
    for i in range(first, n):
        rng = random.Random(i)
        clips, good = goods[i%2]
        model = folder/"case"/"model"
        shutil.rmtree(model.parent, ignore_errors=True)
        shutil.copytree(good, model)
        j, w = (good/"model.json").read_bytes(), (good/"model.safetensors").read_bytes()
        only_cli = False
        if i<changes:
            change, sealed = CHANGES[i%len(CHANGES)], quick or i//len(CHANGES)%4>0
            name = f"{change.__name__} {'sealed' if sealed else 'as it was sealed'} {i}"
            meta, tensors = json.loads(j), load_file(good/"model.safetensors")
            must = change(meta, tensors, rng)
            save_file({k: v.contiguous().clone() for k, v in tensors.items()}, model/"model.safetensors")
            if sealed:
                with contextlib.suppress(Exception): meta["seal"] = saved._seal(meta, model/"model.safetensors")
            elif meta!=json.loads(j) or (model/"model.safetensors").read_bytes()!=w: must = "refused"
            (model/"model.json").write_text(json.dumps(meta), encoding="utf-8", errors="surrogatepass")
        elif i<changes+damages:
            change = DAMAGE[i%len(DAMAGE)]
            name, (a, b) = f"{change.__name__} {i}", change(j, w, rng)
            (model/"model.json").write_bytes(a); (model/"model.safetensors").write_bytes(b)
            same = b==w
            if same:
                try: same = json.loads(a.decode())==json.loads(j)
                except (ValueError, RecursionError): same = False
            must = "same" if same else "refused"
        else:
            name, must, only_cli = f"encoder.json {i}", "either", True
            (model/"encoder.json").write_bytes(encoder_json(rng, json.loads((goods[0][1]/"encoder.json").read_text())))
            for f in ("model.json", "model.safetensors"): shutil.copy(goods[0][1]/f, model)
        print(json.dumps(dict(begin=name, i=i)), file=say, flush=True)
        start, why = time.perf_counter(), []
        network.clear(); pickles.clear()
        if not only_cli: why += judge_load(L, model, clips, must, goods[i%2])
        if only_cli or i%2==0: why += judge_cli(main, model, target, folder/"case"/"p.csv", folder/"cache", must, folder/"good.csv" if must=="same" else None)
        if network: why.append(f"network: {network[:2]}")
        if pickles: why.append(f"unpickled: {pickles[:2]}")
        if (folder/"PICKLE RAN").exists(): why.append("a pickle ran"); (folder/"PICKLE RAN").unlink()
        shutil.rmtree(model.parent)
        if (now := sorted(str(o) for o in folder.rglob("*") if "cache" not in o.parts[len(folder.parts):]))!=[o for o in before if "cache" not in Path(o).parts[len(folder.parts):]]: why.append(f"files: {set(now)^set(before)}"); before = now
        if watched.read(): why.append("a file outside was opened")
        print(json.dumps(dict(name=name, why=why, s=time.perf_counter()-start)), file=say, flush=True)
    print(json.dumps(dict(end=n, watched=watched.names is not None)), file=say, flush=True)


def fits(folder):
    "(the target's manifest; [(clips, folder of a fit), ...]): a run's model, and one with a view of a speech model's width"
    import numpy as np, torch
    from conftest import make_corpus
    from sere_nb.cli import main
    from sere_nb.corpora import read_manifest
    from sere_nb.encoder import Embeddings, Frames, embed
    from sere_nb.learner import SERE
    good, wide, target = folder/"run"/"model", folder/"wide", folder/"target.csv"
    (folder/"secret").mkdir(exist_ok=True)
    (folder/"secret"/"canary").write_text("nobody reads this")
    if not wide.exists():
        with contextlib.redirect_stdout(io.StringIO()):
            source = make_corpus(folder, clips=3, language="aa", name="source.csv")
            make_corpus(folder, clips=2, language="bb", name="target.csv", f0=108)
            assert main(["run", "--map", "pca", "--source", str(source), "--target", str(target), "--shots", "3", "--cache", str(folder/"cache"), "--out", str(folder/"run"), "-q"])==0
            assert main(["predict", "--model", str(good), "--manifest", str(target), "--out", str(folder/"good.csv"), "--cache", str(folder/"cache"), "-q"])==0
    table = read_manifest(target)
    clips = embed(table, "acoustic", folder/"cache", False)
    def widened(emb):
        g, n = torch.Generator().manual_seed(0), torch.full((len(emb),), 12)
        return Embeddings(emb.table, dict(emb.views, **{"toy.1": Frames(torch.randn(int(n.sum()), 64, generator=g).half(), torch.cat([torch.zeros(1, dtype=torch.long), n.cumsum(0)]), .02)}))
    if not wide.exists():
        source = widened(embed(read_manifest(folder/"source.csv"), "acoustic", folder/"cache", False))
        SERE(rounds=2, contents=(4,), dims=16, circumstances=4).fit(source, widened(clips)).save(wide)
        shutil.copy(good/"encoder.json", wide)
    (wide/"encoder.json").exists() or shutil.copy(good/"encoder.json", wide)
    return target, [(clips, good), (widened(clips), wide)]


_ANSWERS = {}


def judge_load(L, model, clips, must, good):
    "What breaks the promise of `SERE.load`"
    import numpy as np
    if good[1] not in _ANSWERS: _ANSWERS[good[1]] = L.SERE.load(good[1]).predict_proba(clips)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try: s = L.SERE.load(model)
        except L.LearnerError as e:
            text = str(e).replace(str(model), "")
            if must=="same": return [f"refused: {e}"]
            return [] if "\n" not in text and 10<len(text)<500 else [f"not one clear line: {text[:200]!r}"]
        except Exception as e: return [f"{type(e).__name__} from load: {e}"[:200]]
        if must=="refused": return ["taken"]
        try: p, h, r, x = s.predict_proba(clips), s.highlights(clips), s.resonance(clips[:2]), s.transform(clips)
        except L.LearnerError as e: return [] if must!="same" and "\n" not in str(e) and len(str(e))<500 else [f"{e}"[:200]]
        except Exception as e: return [f"{type(e).__name__} from predict: {e}"[:200]]
    if not (np.isfinite(p).all() and np.allclose(p.sum(1), 1, atol=1e-4) and np.isfinite(h).all().all() and all(np.isfinite(o["r"]).all() for o in r) and np.isfinite(x).all()): return ["values that are not finite"]
    if must=="same" and not np.allclose(p, _ANSWERS[good[1]], atol=1e-6): return ["other predictions"]
    return []


def judge_cli(main, model, target, out, cache, must, good):
    "What breaks the promise of `sere predict`"
    err, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(said): status = main(["predict", "--model", str(model), "--manifest", str(target), "--out", str(out), "--cache", str(cache), "-q"])
    lines = [o for o in err.getvalue().splitlines() if not o.startswith("sere: warning: ")]
    if status==2: return [] if must!="same" and len(lines)==1 and lines[0].startswith("sere: ") and len(lines[0].replace(str(model), "").replace(str(target), ""))<700 and not out.exists() else [f"sere predict: {err.getvalue()[:300]}"]
    if status or lines: return [f"sere predict, status {status}: {err.getvalue()[-300:]}"]
    if must=="refused": return ["sere predict: taken"]
    import pandas as pd
    p = pd.read_csv(out).filter(regex="^p_")
    if not (p.sum(axis=1).sub(1).abs()<1e-3).all(): return [f"sere predict: shares {p.iloc[0].tolist()}"]
    if good and out.read_bytes()!=good.read_bytes(): return ["sere predict: other predictions"]
    return []


def saved_models(folder, quick):
    "Models changed by strangers or by chance: the same answers, or one clear line"
    part, first, slow, done = Part("trust: saved models"), 0, (0, ""), False
    while not done:
        child = subprocess.Popen([sys.executable, __file__, "--models", str(folder), str(first), *(["--quick"] if quick else [])], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", stdin=subprocess.DEVNULL,
                                 env=dict(os.environ, PYTHONPATH=str(HERE.parent), HF_HUB_OFFLINE="0", HF_HOME=str(folder/"hub")))
        errors = []
        threading.Thread(target=lambda: errors.extend(child.stderr), daemon=True).start()
        alarm, begun = None, None
        for line in child.stdout:
            if alarm: alarm.cancel()
            o = json.loads(line)
            if "end" in o:
                done, part.cases = True, o["end"]
                part.say.append(f"slowest {slow[0]:.1f} s ({slow[1]})"+("" if o["watched"] else "; files that are opened cannot be watched here"))
            elif "begin" in o:
                begun, first = o["begin"], o["i"]+1
                alarm = threading.Timer(HANG_S, child.kill); alarm.start()
            else:
                begun = None
                slow = max(slow, (o["s"], o["name"]))
                if o["why"] or o["s"]>SLOW_S: part.bad(o["name"], "; ".join(o["why"]) or f"{o['s']:.1f} s")
        if alarm: alarm.cancel()
        status = child.wait()
        if not done:
            part.bad(begun or "start", f"the process ended with {status}: {''.join(errors)[-300:]}")
            if not begun: break
    return part


# -- encoders

@contextlib.contextmanager
def within(seconds):
    "`TimeoutError` for what takes longer, where there are such alarms"
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread(): yield; return
    def late(*_): raise TimeoutError(f"more than {seconds:g} s")
    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try: yield
    finally: signal.setitimer(signal.ITIMER_REAL, 0); signal.signal(signal.SIGALRM, old)


def encoders(folder, quick):
    "Folders in the hub's layout that hide something: nothing in them runs, nothing outside of them is read"
    part = Part("trust: encoders")
    import pickle, torch
    from safetensors.torch import load_file
    from transformers import Wav2Vec2Config, Wav2Vec2Model, WhisperConfig, WhisperModel
    from sere_nb.audio import toy_voice
    from sere_nb.encoder import EncoderError, load_encoder
    torch.manual_seed(0)
    WhisperModel(WhisperConfig(d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=16, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16, max_source_positions=50,
                               vocab_size=12, pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0)).encoder.save_pretrained(folder/"whisper")
    Wav2Vec2Model(Wav2Vec2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, vocab_size=12, conv_dim=(8,)*7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2)).save_pretrained(folder/"wav2vec2")
    ran = folder/"CODE RAN"
    (folder/"secret").mkdir()
    shutil.copy(folder/"whisper"/"model.safetensors", folder/"secret"/"x.safetensors")
    code = f"open({str(ran)!r}, 'w').write('x')\nclass E: pass\nclass C: pass\n"
    # stand-ins for packages that transformers would ask for code or for other models, if they were installed
    for name in ("kernels", "peft"):
        (folder/"packages"/name).mkdir(parents=True)
        (folder/"packages"/name/"__init__.py").write_text(code+"__version__ = '0.18.3'\ndef __getattr__(name):\n    if name.startswith('__'): raise AttributeError(name)\n    return lambda *a, **k: open(%r, 'w').write(name)\n" % str(ran))
    def config(**new):
        def change(to): c = json.loads((to/"config.json").read_text()); c.update(new); (to/"config.json").write_text(json.dumps(c))
        return change
    def evil(name, keep=False, torch_zip=False):
        def change(to):
            if not keep: (to/"model.safetensors").unlink()
            if torch_zip: torch.save(Touch(ran), to/name)
            else: (to/name).write_bytes(pickle.dumps(Touch(ran)))
        return change
    def index(target):
        def change(to):
            names = list(load_file(to/"model.safetensors"))
            (to/"model.safetensors").unlink()
            (to/"model.safetensors.index.json").write_text(json.dumps(dict(metadata={}, weight_map={k: target for k in names})) if isinstance(target, str) else json.dumps(target))
        return change
    def text(name, what): return lambda to: (to/name).write_text(what)
    def custom(to):
        (to/"evil.py").write_text(code); (to/"__init__.py").write_text(code); (to/"modeling_whisper.py").write_text(code)
        config(auto_map=dict(AutoModel="evil.E", AutoConfig="evil.C"), architectures=["../evil.E"])(to)
        text("preprocessor_config.json", json.dumps(dict(auto_map=dict(AutoFeatureExtractor="evil.E"), feature_extractor_type="evil.E")))(to)
    adapter = lambda to: text("adapter_config.json", json.dumps(dict(base_model_name_or_path="../secret", peft_type="LORA", auto_mapping=dict(parent_library="evil", base_model_class="E"))))(to)
    R, F = "refused", "fine"    # what must come of it
    cases = {"plain": (lambda to: None, F), "custom code": (custom, F), "pickle beside": (evil("pytorch_model.bin", True), F), "pickle alone": (evil("pytorch_model.bin"), R), "pickle of torch": (evil("pytorch_model.bin", torch_zip=True), R),
             "pickle named safetensors": (evil("model.safetensors", True), R), "zip named safetensors": (evil("model.safetensors", True, True), R), "training_args": (evil("training_args.bin", True), F), "optimizer": (evil("optimizer.pt", True, True), F),
             "kernel": (config(attn_implementation="evil/kernel"), F), "_kernel": (config(_attn_implementation="evil/kernel"), F), "kernels": (config(use_kernels=True, attn_implementation="kernels-community/flash-attn"), F),
             "quantised": (config(quantization_config=dict(quant_method="bitsandbytes", load_in_8bit=True)), F), "adapter": (adapter, R), "other weights": (config(transformers_weights="../secret/x.safetensors"), F),
             "index up": (index("../secret/x.safetensors"), R), "index far": (index(str(folder/"secret"/"x.safetensors")), R), "index list": (index([]), R), "index number": (index(dict(weight_map=dict(a=3))), R), "index no map": (index({}), R), "index folder": (index(".."), R),
             "config list": (text("config.json", "[]"), R), "config deep": (text("config.json", "["*100_000), R), "config binary": (lambda to: (to/"config.json").write_bytes(b"\xff\xfe\x00"), R), "type": (config(model_type=["whisper"]), R), "type path": (config(model_type="../whisper"), R),
             "preprocessor": (text("preprocessor_config.json", "{"), None), "preprocessor list": (text("preprocessor_config.json", "[]"), None),
             **{f"{k} {v!r}"[:40]: (config(**{k: v}), R) for k, v in dict(encoder_layers="2", num_hidden_layers=None, d_model=100_000, hidden_size=100_000).items() if k in ("encoder_layers", "d_model")},
             "layers many": (config(encoder_layers=10**9, num_hidden_layers=10**9), R), "layers negative": (config(encoder_layers=-2, num_hidden_layers=-2), R), "layers half": (config(encoder_layers=2.5, num_hidden_layers=2.5), R), "layers true": (config(encoder_layers=True, num_hidden_layers=True), R),
             "wide": (config(encoder_ffn_dim=10**9, intermediate_size=10**9), R), "long": (config(max_source_positions=10**9, num_conv_pos_embeddings=10**9), R), "no heads": (config(encoder_attention_heads=0, num_attention_heads=0), R),
             "activation": (config(activation_function="__import__", hidden_act="__import__", feat_extract_activation="__import__"), R), "dtype": (config(dtype="load", torch_dtype="load"), F)}
    todo = [(kind, name) for kind in ("whisper", "wav2vec2") for name in cases]
    if quick: todo = [o for i, o in enumerate(todo) if o[0]=="whisper" and (i%2==0 or o[1] in ("custom code", "pickle alone", "pickle of torch", "kernel", "adapter", "index up", "index far", "layers many"))]
    sys.path.insert(0, str(folder/"packages"))
    watched = Watched(folder/"secret")
    pickles = []
    _listen()
    _PICKLES.append(pickles)
    try:
        for kind, name in todo:
            to = folder/"cases"/f"{kind} {name}".replace("/", "_")
            shutil.copytree(folder/kind, to)
            change, must = cases[name]
            change(to)
            start = time.perf_counter()
            try:
                with warnings.catch_warnings(), within(SLOW_S):
                    warnings.simplefilter("ignore")
                    views = load_encoder(str(to), device="cpu", dtype="float32").encode([toy_voice(.3)])[0]
                said = F if all(v.isfinite().all() for v in views.values()) else "not finite"
            except EncoderError as e: said = R if "\n" not in str(e) and len(str(e).replace(str(to), ""))<500 else f"not one clear line: {e}"
            except Exception as e: said = f"{type(e).__name__}: {e}"
            if said not in (R, F) or must and said!=must and not (kind=="wav2vec2" and name.startswith(("encoder_layers", "d_model"))): part.bad(f"{kind} {name}", said)
            if ran.exists(): part.bad(f"{kind} {name}", f"its code ran ({ran.read_text()})"); ran.unlink()
            if pickles: part.bad(f"{kind} {name}", f"unpickled {pickles[:2]}"); pickles.clear()
            if watched.read(): part.bad(f"{kind} {name}", "read a file outside of its folder")
            if (s := time.perf_counter()-start)>SLOW_S: part.bad(f"{kind} {name}", f"{s:.1f} s")
            part.cases += 1
    finally:
        _PICKLES.remove(pickles)
        sys.path.remove(str(folder/"packages"))
    if watched.names is None: part.say.append("files that are opened cannot be watched here")
    return part


_PICKLES = []       # lists that are told of what is unpickled; an audit hook cannot be taken out again, so there is one


@functools.cache
def _listen(): sys.addaudithook(lambda event, args: [o.append(str(args)) for o in _PICKLES] if event=="pickle.find_class" and _PICKLES else None)


# -- the source

FORBIDDEN = dict(pickle=r"\b(c?[Pp]ickle|dill|joblib|shelve|marshal)\b(?! weights)", torch_load=r"\btorch\.load\b(?!\([^()]*weights_only=True\))", allow=r"allow_pickle\s*=\s*True|weights_only\s*=\s*False", remote=r"trust_remote_code\s*=\s*(?!False)\S",
                 run=r"(?<![\w.])(eval|exec|__import__|compile)\(|os\.system|shell\s*=\s*True", yaml=r"yaml\.(load|unsafe_load)\b", sockets=r"\b(urlopen|requests\.|httpx|aiohttp|urllib3|socket\.(create_connection|socket))")
# what these mean there: a word in a message or a docstring; the hub's own client is only in `_fetch`
def source():
    "No way to run what a file holds, in any module of the library"
    import tokenize
    part = Part("trust: the library's source")
    for file in sorted((HERE.parent/"sere_nb").glob("*.py")):
        part.cases += 1
        with open(file, "rb") as f: tokens = [o for o in tokenize.tokenize(f.readline) if o.type not in (tokenize.COMMENT, tokenize.STRING, tokenize.NL, getattr(tokenize, "FSTRING_MIDDLE", -1))]
        lines = {}
        for o in tokens: lines.setdefault(o.start[0], []).append(o.string)
        for n, words in lines.items():
            text = "".join(w+(" " if re.match(r"\w", w) and w.isidentifier() and w in ("import", "from", "as", "in", "if", "else", "return", "def", "lambda", "and", "or", "not", "is", "for") else "") for w in words)
            for name, pattern in FORBIDDEN.items():
                if re.search(pattern, text): part.bad(f"{file.name}:{n}", f"{name}: {text[:120]}")
    return part


# -- manifests and reports

XSS = ["</script><script>window.hit=1</script>", "<img src=x onerror=window.hit=1>", "<svg onload=window.hit=1>", "<svg><script>window.hit=1</script></svg>", "\"><script>window.hit=1</script>", "'><img src=x onerror='window.hit=1'>",
       "\" onmouseover=\"window.hit=1\" autofocus onfocus=\"window.hit=1\" x=\"", "' autofocus onfocus='window.hit=1' x='", "javascript:window.hit=1", "data:text/html,<script>window.hit=1</script>", "<iframe srcdoc=\"<script>parent.hit=1</script>\"></iframe>",
       "<a href=javascript:window.hit=1>x</a>", "<style>@import 'http://ADDRESS/x';</style>", "<link rel=stylesheet href=http://ADDRESS/x>", "<meta http-equiv=refresh content=\"0;url=http://ADDRESS/\">", "<base href=http://ADDRESS/>",
       "<details open ontoggle=window.hit=1>", "<video><source onerror=window.hit=1></video>", "<math><mtext></table><mglyph><style><img src=x onerror=window.hit=1>", "<!--><img src=x onerror=window.hit=1>-->", "]]><img src=x onerror=window.hit=1>",
       "&lt;img src=x onerror=window.hit=1&gt;", "&#60;script&#62;window.hit=1&#60;/script&#62;", "${window.hit=1}", "{{constructor.constructor('window.hit=1')()}}", "`;window.hit=1;//", "\\\";window.hit=1;//", "\u2028window.hit=1//", "\u202e>1=tih.wodniw<",
       "__proto__", "constructor", "toString", "hasOwnProperty", "<template><script>window.hit=1</script></template>", "%3Cscript%3Ewindow.hit=1%3C/script%3E", "--><script>window.hit=1</script>", "<x style=animation-name:x onanimationstart=window.hit=1>", "=HYPERLINK(\"http://127.0.0.1:9\")"]


def hostile_run(folder, names, shots=1, **columns):
    "A run in which every path, speaker, language and emotion is one of `names`: (status, what it said, folder of results, number of target clips)"
    import csv
    import soundfile as sf
    from conftest import SR, voice
    from sere_nb.cli import main
    at = 0
    for kind, each in (("source", shots+1), ("target", 1)):
        rows = []
        for i, name in enumerate(names):
            for k in range(each):
                path = f"{kind}{k}/{name}"
                file = folder/path
                file.parent.mkdir(parents=True, exist_ok=True)
                sf.write(file, voice(.4, f0=90+2*at), SR, format="WAV")
                at += 1
                rows.append(dict(path=path, language=names[-1] if kind=="source" else names[1], speaker=names[(i+1)%len(names)], emotion=name, corpus=names[2] if kind=="source" else names[0], **columns))
        with open(folder/f"{kind}.csv", "w", encoding="utf-8", newline="") as f:
            w = csv.DictWriter(f, list(rows[0]))
            w.writeheader()
            w.writerows(rows)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
        status = main(["run", "--map", "pca", "--source", str(folder/"source.csv"), "--target", str(folder/"target.csv"), "--shots", str(shots), "--cache", str(folder/"cache"), "--out", str(folder/"out"), "-q"])
    return status, out.getvalue()+err.getvalue(), folder/"out", len(names)


def manifests(folder, quick):
    "A manifest's other columns, labels and names lead nowhere: of a folder, only what it lists is opened"
    import soundfile as sf
    from conftest import SR, voice
    part, secret = Part("trust: manifests and what they lead to"), folder/"secret"
    secret.mkdir()
    sf.write(secret/"canary.wav", voice(.5, f0=333), SR)
    (secret/"canary.txt").write_text("nobody reads this")
    (secret/"source.csv").write_text("path,language\ncanary.wav,xx\n")
    near = f"{secret}/canary.wav"
    ways = [near, f"file://{near}", "../secret/canary.wav", "../../secret/canary.txt", f"@{near}", f"|cat {near}", f"$(cat {near})", f"`cat {near}`", f"{near}\x00.wav", f"%s{near}", "~/x", "http://ADDRESS/x.wav", f"concat:{near}", "{{file}}", f"\\\\127.0.0.1\\share"]
    columns = [dict(file=near, audio=near, sound=near, wav=near), dict(key="../../secret/canary", start_s=near, seconds=near), dict(manifest=near, root=str(secret), folder=str(secret), cache=str(secret))]
    watched = Watched(secret)
    for i, more in enumerate(columns[:1] if quick else columns):
        d = folder/f"m{i}"
        d.mkdir()
        lists = [o for o in ways if "\x00" not in o][i::1]
        # as labels, speakers, languages and corpora; paths are plain, for these would be listed
        import csv
        for kind, each, f0 in (("source", 2, 100), ("target", 1, 200)):
            (d/kind).mkdir()
            rows = []
            for j, name in enumerate(lists):
                for k in range(each):
                    sf.write(d/kind/f"{j}-{k}.wav", voice(.4, f0=f0+3*j+k), SR)
                    rows.append(dict(path=f"{kind}/{j}-{k}.wav", language=name if kind=="source" and j else "xx", speaker=lists[j-1], emotion=name, corpus=lists[j-2], **more))
                    part.cases += 1
            sf.write(d/kind/"unlisted.wav", voice(.4, f0=300), SR)
            with open(d/f"{kind}.csv", "w", encoding="utf-8", newline="") as f: w = csv.DictWriter(f, list(rows[0])); w.writeheader(); w.writerows(rows)
        own = [Watched(d/kind) for kind in ("source", "target")]
        from sere_nb.cli import main
        err, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(said): status = main(["run", "--map", "pca", "--source", str(d/"source.csv"), "--target", str(d/"target.csv"), "--shots", "1", "--cache", str(d/"cache"), "--out", str(d/"out"), "-q"])
        if status: part.bad(f"run {i}", f"status {status}: {err.getvalue()[-300:]}"); continue
        if opened := watched.read(): part.bad(f"run {i}", f"opened {sorted(set(opened))}")
        for o in own:
            names = set(o.read())
            if "unlisted.wav" in names: part.bad(f"run {i}", "opened a clip that it does not list")
            if o.names is not None and not names: part.bad(f"run {i}", "nothing was seen to be opened, so the watch does not work")
        page = (d/"out"/"report.html").read_text(encoding="utf-8")
        sounds = json.loads(re.search(r'id="sounds">(.*?)</script>', page)[1])
        if len(sounds)!=3*len(lists): part.bad(f"run {i}", f"{len(sounds)} sounds for {3*len(lists)} clips")
        if "nobody reads this" in page or str(d) in page.replace("\\/", "/").replace(str(secret), ""): part.bad(f"run {i}", "the page holds what was not asked for")
        stray = sorted(str(o.relative_to(d)) for o in d.rglob("*") if o.is_file() and o.parts[len(d.parts)] not in ("source", "target", "source.csv", "target.csv", "cache", "out"))
        if stray: part.bad(f"run {i}", f"wrote {stray}")
    if watched.names is None: part.say.append("files that are opened cannot be watched here")
    return part


def browsed(folder, quick):
    "Hostile names everywhere, in a browser: nothing runs, nothing is asked for"
    from browser import CHROMIUM, DRIVER, browser, until
    part = Part("trust: a report with hostile names")
    asked = Listener()
    names = [o.replace("ADDRESS", asked.address) for o in XSS]
    status, said, out, n = hostile_run(folder, names)
    part.cases = len(names)*4       # as path, speaker, emotion, and in languages and corpora
    if status: part.bad("sere run", said[-300:]); return part
    if "\u202e" in said or "\u2028" in said: part.bad("stdout", "turns the direction of a terminal")
    if not (CHROMIUM and DRIVER): part.say.append("left out: chromium and chromedriver are not installed"); part.cases = 0; return part
    app = lambda script: f"const a = document.getElementById('explorer')?.explorer; if (!a) return null; {script}"
    with asked, browser() as b:
        b.get((out/"report.html").as_uri())
        try: until(b, app("return a.rounds"), 30)
        except AssertionError as e: part.bad("page", f"does not come up: {e}"); return part
        total = 3*len(names)
        hit = lambda: b.execute_script("return window.hit ?? null")
        page = b.current_url
        for i in range(total) if not quick else list(range(0, total, 3)):
            b.execute_script(app(f"a.choose({i}, true)"))
            if b.execute_script("return document.querySelector('.panel h3')?.textContent") is None: until(b, "return document.querySelector('.panel h3')?.textContent", 10)
            if hit() is not None: part.bad(f"clip {i}", "ran"); b.execute_script("delete window.hit")
        find = b.find_element("css selector", "input[type=search]")
        for name in names if not quick else names[::6]:
            b.execute_script("const i = arguments[0]; i.value = arguments[1]; i.dispatchEvent(new Event('input', {bubbles: true}))", find, name)
            if hit() is not None: part.bad(f"search {name}", "ran"); b.execute_script("delete window.hit")
        b.execute_script("const i = arguments[0]; i.value = ''; i.dispatchEvent(new Event('input', {bubbles: true}))", find)
        # all that can be pressed, hovered or opened
        b.execute_script("document.querySelectorAll('details').forEach(o => o.open = true); for (const o of document.querySelectorAll('button, summary, .chips *, tbody tr')) for (const e of ['mouseover', 'mouseenter', 'focus', 'click']) o.dispatchEvent(new MouseEvent(e, {bubbles: true}))")
        time.sleep(.5 if quick else 2)
        if hit() is not None: part.bad("page", "ran")
        if b.current_url!=page: part.bad("page", f"went to {b.current_url}")
        odd = b.execute_script("return [...document.querySelectorAll('img, iframe, link, base, meta[http-equiv=refresh], object, embed, math, template, source, video, a[href], script[src], [onerror], [onload], [onfocus], [onmouseover], [ontoggle], [onanimationstart]')].map(o => o.outerHTML.slice(0, 90))")
        if odd: part.bad("page", f"elements made of names: {odd[:3]}")
        if asked.asked: part.bad("page", f"asked for {asked.asked[:3]}")
        with contextlib.suppress(Exception): b.get(f"http://{asked.address}/control")
        if not any("/control" in o for o in asked.asked): part.bad("page", "the listener hears nothing")
    return part


# -- the network

SERE = [sys.executable, "-c", "import sys; from sere_nb.cli import main; sys.exit(main())"]
EXPLORER = """
import sys, numpy as np
from sere_nb.corpora import data_samples, draw_shots, read_manifest
from sere_nb.encoder import embed
from sere_nb.explore import Explorer, wait
from sere_nb.learner import SERE
table = read_manifest(data_samples()/'manifest.csv')
emb = embed(table[table.language.isin(['de', 'it'])].iloc[::2], 'acoustic', progress=False)
de = (emb.table.language=='de').to_numpy()
shot = np.zeros(len(emb), bool)
shot[de] = draw_shots(emb[de].table, n=3, seed=0)
e = Explorer(SERE(rounds=2).begin(emb[shot], emb[~shot]), kind='pca')
e.start(); e.wait()
e.learner.resonance([0]); e.learner.highlights([0])
e.to_html('explorer.html', layouts=('pca','circumplex'))
print('explored', len(e.learner.history_))
"""


CONTROL = """
import socket, urllib.request
for work in (lambda: socket.create_connection(('192.0.2.1', 9), timeout=.01), lambda: socket.getaddrinfo('sere.invalid', 80), lambda: urllib.request.urlopen('http://sere.invalid/x', timeout=1)):
    try: work()
    except OSError: pass
"""


def network(folder, quick):
    "demo, run, predict, the explorer and, in full, a notebook of it: nobody is asked for anything; and all of it works with the network cut"
    from conftest import make_corpus
    part, cut = Part("trust: the network"), can_cut()
    if not cut: part.say.append("a network cannot be cut here (unshare), so only attempts are counted")
    source, target = make_corpus(folder, clips=3, language="aa", name="source.csv"), make_corpus(folder, clips=2, language="bb", name="target.csv", f0=108)
    run = ["run", "--source", source, "--target", target, "--shots", "3", "--out", folder/"run", "-q", "--map", "pca" if quick else "umap"]
    predict = ["predict", "--model", folder/"run"/"model", "--manifest", target, "--out", folder/"p.csv", "-q"]
    if quick:       # in one process; the demo, which is such a run, is in the full soak
        together = f"from sere_nb.cli import main\nassert main({list(map(str, run))})==0==main({list(map(str, predict))})\n"+EXPLORER
        programs = {"run, predict, explorer": [sys.executable, "-c", together]}
    else:
        programs = {"demo": [*SERE, "demo", "--out", folder/"demo", "-q"], "run": [*SERE, *run], "predict": [*SERE, *predict], "explorer": [sys.executable, "-c", EXPLORER], "check": [*SERE, "check", target, "-q"],
                    "embed": [*SERE, "embed", "--manifest", target, "--encoder", "acoustic", "-q"], "corpus": [*SERE, "corpus", "--list"], "workshop": [*SERE, "workshop", folder/"course", "--solutions"],
                    "quickstart": [sys.executable, "-m", "jupyter", "execute", f"--output={folder/'quickstart.ipynb'}", HERE.parent/"nbs"/"tutorials"/"01_quickstart.ipynb"]}
    own = 0
    for name, argv in programs.items():
        for without in ([cut] if quick else [False, True] if cut and name!="quickstart" else [False]):      # a kernel needs the loopback
            part.cases += 1
            with Recorded(folder/f"recorded {name} {without}") as r:
                said = r.run(argv, without)
                if said.returncode: part.bad(f"{name}{' without a network' if without else ''}", said.stderr[-300:])
                attempts, n = r.attempts()
                own += n
                if attempts: part.bad(name, f"{len(attempts)} attempts: {attempts[:3]}")
    with Recorded(folder/"control") as r:
        r.run([sys.executable, "-c", CONTROL])
        heard = r.attempts()[0]
        for o in ("192.0.2.1", "sere.invalid", "proxy asked for GET http://sere.invalid/"):
            if not any(o in x for x in heard): part.bad("control", f"an attempt at {o} was not recorded, so the record does not work")
    part.say.append(f"{own} words of programs to themselves (kernels)" if own else "not even a word to itself")
    return part


def soak(quick=False, folder=None):
    "Yields a dict a part: part, cases, lost, note"
    with tempfile.TemporaryDirectory(prefix="soak trust ", ignore_cleanup_errors=True) as made:
        folder = Path(folder or made).resolve()
        for name, work in dict(source=lambda d, q: source(), models=saved_models, encoders=encoders, manifests=manifests, browsed=browsed, network=network).items():
            (folder/name).mkdir(parents=True)
            yield work(folder/name, quick).row()


if __name__=="__main__":
    if "--models" in sys.argv: models(sys.argv[2], int(sys.argv[3]), "--quick" in sys.argv)
    else:
        for row in soak("--quick" in sys.argv): print(f"{row['part']}: {row['cases']} cases, {row['lost']} lost. {row['note']}", flush=True)
