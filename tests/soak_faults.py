"""What a kill, a full disk, a cache that may not be written, company, a wrong clock, an older version and flipped bits do to `sere run` and `sere embed`. `python tests/soak_faults.py [--quick]`

What must hold: the same final bytes as without the fault (but for the date in a report), nothing computed again that was complete,
no half-written or damaged file ever used, one clear line about what was found, earlier outputs intact.

A command runs in a process that is forked, as a session of its own, from one that has imported all it needs: a random moment then lies within the work, not within `import torch`."""
import contextlib, ctypes, hashlib, itertools, json, os, random, re, resource, shutil, signal, subprocess, sys, tempfile, time, warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import numpy as np, torch
from soak_trust import Part

from sere_nb.corpora import data_samples, read_manifest
from sere_nb.encoder import CacheError, EmbeddingCache, Stored, embed, load_encoder
from sere_nb.files import MARK

MOMENTS, WRITES = 50, 25        # kills at random times; kills at random points where a file is opened for writing, or moved into place


# -- commands in processes of their own

def server():
    "Starts and awaits commands: a JSON a line in, one out"
    import sere_nb.cli, sere_nb.evaluate, sere_nb.explore, sere_nb.learner, tqdm      # noqa: what a command would import
    say = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("ready", file=say, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        match job.pop("do"):
            case "start":
                answer = os.fork()
                if not answer: child(**job)
            case "wait": answer = os.waitstatus_to_exitcode(os.waitpid(job["pid"], 0)[1])
            case "sh": answer = subprocess.run(job["text"], shell=True, stdin=subprocess.DEVNULL).returncode
        print(json.dumps(answer), file=say, flush=True)


def child(argv, log, watch="/nowhere", die=None, largest=None, years=0, closed=None):
    "A command. `die`: at so many touches of files below `watch`; `largest`: bytes of a file; `years`: the clock is off by; `closed`: a folder that may not be written"
    os.setsid()
    for fd, name in ((0, os.devnull), (1, log+".out"), (2, log+".err")): os.dup2(os.open(name, os.O_RDWR|os.O_CREAT|os.O_TRUNC, 0o644), fd)
    from sere_nb import cli, encoder, outcome
    encoded, touched, status = [], itertools.count(1), 1
    for kind in (encoder.AcousticEncoder, encoder.TransformerEncoder):
        def counted(self, waves, work=kind._encode):
            views = work(self, waves)
            encoded.extend([self.key]*len(waves))
            return views
        kind._encode = counted
    n = 0
    def note(event, args):
        nonlocal n
        if not (event=="os.rename" or event=="open" and args[1] and set(str(args[1]))&set("wax+") or event=="open" and args[1] is None and args[2]&(os.O_WRONLY|os.O_RDWR)): return
        if not str(args[0]).startswith(watch): return
        n = next(touched)
        if n==die: os.killpg(0, signal.SIGKILL)
    sys.addaudithook(note)
    if closed:
        if os.geteuid()==0: as_the_modes_say()
        if os.access(closed, os.W_OK, effective_ids=True): os._exit(99)
    if largest: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if years:
        import datetime
        off, now = years*365*86400, time.time
        time.time, time.time_ns = lambda: now()+off, lambda: int((now()+off)*1e9)
        class Wrong(datetime.datetime):
            @classmethod
            def now(cls, tz=None): return cls.fromtimestamp(time.time(), tz)
        outcome.datetime = Wrong
    try:
        status = cli.main(argv)
        sys.stdout.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],)*2)
        Path(log+".json").write_text(json.dumps(dict(encoded=len(encoded), touched=n)))
    finally: os._exit(status)


def session(pid):
    "Processes of a session, but for dead ones"
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            if int(words[3])==pid and words[0]!="Z": found.append(int(stat.parent.name))
    return found


class Done:
    def __init__(self, status, log, seconds):
        self.status, self.seconds, self.encoded, self.touched = status, seconds, None, None
        self.out, self.err = (Path(log+o).read_text(encoding="utf-8", errors="replace") if Path(log+o).exists() else "" for o in (".out", ".err"))
        with contextlib.suppress(OSError): vars(self).update(json.loads(Path(log+".json").read_text()))
        self.said = [o.removeprefix("sere: ") for o in self.err.splitlines() if o.startswith("sere: ")]
    def __str__(self): return f"status {self.status}, {self.encoded} encoded: {self.err.strip()[-250:]}"


class Sere:
    "Runs commands; `wrap` are words before the interpreter"
    def __init__(self, folder, wrap=()):
        self.folder, self.n = Path(folder), 0
        self.folder.mkdir(parents=True, exist_ok=True)
        # threads that wait for work would be missing after a fork
        self.process = subprocess.Popen([*wrap, sys.executable, __file__, "--server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ, OMP_NUM_THREADS="1", PYTHONIOENCODING="utf-8"))
        assert self.process.stdout.readline()=="ready\n", "the server does not come up"

    def __enter__(self): return self
    def __exit__(self, *_): self.process.stdin.close(); self.process.wait(60)

    def _ask(self, **job):
        print(json.dumps(job), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def sh(self, text): return self._ask(do="sh", text=text)

    def start(self, argv, **how):
        self.n += 1
        log = str(self.folder/f"log{self.n}")
        return self._ask(do="start", argv=[str(o) for o in argv], log=log, **how), log, time.perf_counter()

    def wait(self, started):
        pid, log, begin = started
        return Done(self._ask(do="wait", pid=pid), log, time.perf_counter()-begin)

    def __call__(self, *argv, **how): return self.wait(self.start(argv, **how))

    def killed(self, *argv, after=None, **how):
        "The command, and what is left of it: killed with all its group `after` so many seconds, or when it dies by itself"
        started = self.start(argv, **how)
        if after is not None:
            time.sleep(after)
            try: os.killpg(started[0], signal.SIGKILL)
            except ProcessLookupError: os.kill(started[0], signal.SIGKILL)     # it had not even begun
        done = self.wait(started)
        return done, session(started[0])


# -- what a command leaves

def tiny_model(folder):
    "A little Whisper with random weights"
    from transformers import WhisperConfig, WhisperModel
    torch.manual_seed(0)
    WhisperModel(WhisperConfig(d_model=24, encoder_layers=3, encoder_attention_heads=3, encoder_ffn_dim=32, decoder_layers=1, decoder_attention_heads=3, decoder_ffn_dim=32,
        vocab_size=12, pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0)).save_pretrained(folder)
    return folder


def temporary(path): return (path.name.startswith(".") or path.suffix==".tmp") and path.name!=MARK

def files(folder): return {str(o.relative_to(folder)): o for o in sorted(Path(folder).rglob("*")) if o.is_file() and not temporary(o) and o.name!=MARK}

_MADE = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(, sere_nb)")

_THERE = re.compile(rb'("from_here": )"[^"]*"')     # a way from the model's own place

def contents(folder): return {k: _THERE.sub(rb"\1WHERE", _MADE.sub(rb"WHEN\1", o.read_bytes())) for k, o in files(folder).items()}

def clips(cache): return {k: o for k, o in files(cache).items() if k.endswith(".safetensors")}

def stamps(cache): return {k: (o.stat().st_ino, o.stat().st_mtime_ns) for k, o in clips(cache).items()}

def unlike(found, due): return sorted(k for k in found if found[k]!=due.get(k))

def rubbish(*folders): return [o for f in folders for o in Path(f).rglob("*") if o.is_file() and temporary(o)]


class Work:
    "A command, where it writes, and what it should come to. `cache` and `out` are below `home`"
    def __init__(self, sere, home, argv, out=True):
        self.sere, self.home, self.argv = sere, Path(home), [*argv, "-q"]
        self.has_out = out
        first = self.fresh("reference")
        self.seconds, self.encoded, self.touched = first.seconds, first.encoded, first.touched
        self.cache, self.due, self.said = contents(self.home/"reference"/"cache"), contents(self.home/"reference"/"out"), first.said
        assert first.status==0 and first.encoded==len(clips(self.home/"reference"/"cache"))>0 and bool(self.due)==out and first.touched>10, str(first)

    def words(self, name): return [*self.argv, "--cache", self.home/name/"cache", *(["--out", self.home/name/"out"] if self.has_out else [])]

    def fresh(self, name, **how): return (how.pop("sere", None) or self.sere)(*self.words(name), watch=str(self.home), **how)

    def wrong(self, part, case, name):
        "Notes what is there but not as it should be"
        n = len(part.lost)
        if odd := unlike({k: v for k, v in contents(self.home/name/"cache").items() if k.endswith(".safetensors")}, self.cache): part.bad(case, f"not as written: {odd[:3]}")
        if odd := unlike(contents(self.home/name/"out"), self.due): part.bad(case, f"other bytes: {odd[:3]}")
        return len(part.lost)>n

    def again(self, part, case, name, say=None, **how):
        "The command once more: all must be as if nothing had happened, and nothing that was complete is made again"
        before = stamps(self.home/name/"cache")
        done = self.fresh(name, **how)
        if done.status: part.bad(case, f"again: {done}"); return done
        if self.has_out and (lack := set(self.due)^set(contents(self.home/name/"out"))): part.bad(case, f"again: too much or too little: {sorted(lack)[:3]}")
        self.wrong(part, case, name)
        after = stamps(self.home/name/"cache")
        if len(after)!=self.encoded: part.bad(case, f"again: {len(after)} clips in the cache, not {self.encoded}")
        if new := unlike(before, after): part.bad(case, f"again: complete, but written once more: {new[:3]}")
        if done.encoded!=self.encoded-len(before): part.bad(case, f"again: {done.encoded} encoded, {len(before)} of {self.encoded} were there")
        if say is None and done.said!=self.said: part.bad(case, f"again: said {done.said[:2]}")
        return done


def run_words(source, target, *more): return ["run", "--source", source, "--target", target, "--map", "pca", "--audio-mb", "1", "--shots", "3", *more]


def killed(part, work, quick):
    rng, left, orphans, late, kept = random.Random(5), [], [], 0, []
    part.say.append(f"undisturbed {work.seconds:.1f} s")
    moments = [dict(after=rng.uniform(0, work.seconds)) for _ in range(3 if quick else MOMENTS)]
    # a kill before the n-th time that something is written: whatever had been written by then must do
    moments += [dict(die=rng.randint(1, work.touched)) for _ in range((3 if work.has_out else 9) if quick else WRITES)]
    for i, how in enumerate(moments):
        case = f"{i}: "+", ".join(f"{k} {v:.4g}" for k, v in how.items())
        home = work.home/"killed"
        part.cases += 1
        done, alive = work.sere.killed(*work.words("killed"), watch=str(work.home), **how)
        orphans += alive
        if alive: part.bad(case, f"processes go on: {alive}")
        if done.status!=-9:
            late += 1       # or less was left to write than the first time
            if done.status: part.bad(case, f"not killed: {done}")
        left.append(len(rubbish(home)))
        if not work.wrong(part, case, "killed"): kept.append(len(clips(home/"cache")))
        work.again(part, case, "killed")
        if work.wrong(part, case, "killed"): continue
        if rng.random()<.5: shutil.rmtree(home)        # else what is left over stays there for the next one, with no clip of the cache
        else:
            for o in clips(home/"cache").values():
                if rng.random()<.7: o.unlink()
            if work.has_out and rng.random()<.5: shutil.rmtree(home/"out")
    part.say.append(f"{len(moments)-late} kills ({late} came after the end), with {min(kept)} to {max(kept)} of {work.encoded} clips kept; {len(orphans)} orphans; at most {max(left)} temporary files left, never read")
    shutil.rmtree(work.home/"killed", ignore_errors=True)


# -- a full disk

def can_mount(): return shutil.which("unshare") and subprocess.run(["unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"], capture_output=True).returncode==0


def full_disk(work, quick):
    "Space that ends at many points: one line, what was there before stays, and with room all is well"
    part, rng = Part(f"faults: full disk, sere {work.argv[0]}"), random.Random(8)
    mount = not quick and can_mount()
    part.say.append("a tmpfs that is full" if mount else "files may not grow beyond a size (RLIMIT_FSIZE)" if quick else "no tmpfs may be mounted here, so files may not grow beyond a size (RLIMIT_FSIZE)")
    room = work.home/"room"
    room.mkdir()
    old, stays = work.home/"old", work.home/"stays"
    if work.has_out:    # an earlier run with another seed, whose outputs are there already
        done = work.sere(*work.argv, "--seed", "7", "--cache", work.home/"reference"/"cache", "--out", old/"out")
        assert done.status==0, str(done)
    earlier = contents(old/"out")
    size = lambda f: sum(-(-o.stat().st_size//4096)*4096 for o in Path(f).rglob("*") if o.is_file())
    empty, cached, new = size(old), size(work.home/"reference"/"cache"), size(work.home/"reference"/"out") if work.has_out else 0
    # in turns while clips are encoded, and while outputs take the place of earlier ones, each of which needs room beside it
    cuts = [rng.uniform(0, cached) if i%2 or not new else cached+rng.uniform(0, new-empty+max(len(o) for o in work.due.values())) for i in range(2 if quick else 20)]
    largest = max(len(o) for o in work.cache.values())
    lines, fine = [], 0
    with contextlib.ExitStack() as stack:
        sere = stack.enter_context(Sere(work.home/"logs of a full disk", ["unshare", "-rm"])) if mount else work.sere
        for i, cut in enumerate(cuts):
            case = f"{i}: room for {cut/1e3:.0f} kB"
            part.cases += 1
            if mount:
                if sere.sh(f"mount -t tmpfs -o size={int(empty+cut)//4096*4096+4096} tmpfs '{room}' && mkdir -p '{old}' && cp -r '{old}/.' '{room}'"): part.bad(case, "the tmpfs does not come up"); continue
                how = {}
            else:
                shutil.rmtree(room); room.mkdir()
                if work.has_out: shutil.copytree(old/"out", room/"out")
                how = dict(largest=int(rng.uniform(.1, .9)*(largest if i%2 or not new else max(len(o) for o in work.due.values()))))
            done = work.fresh("room", sere=sere, **how)
            shutil.rmtree(stays, ignore_errors=True)
            out = lambda: sere.sh(f"rm -rf '{stays}' && cp -a '{room}' '{stays}'")
            if out(): part.bad(case, "cannot be looked at"); continue
            if done.status==0: fine += 1
            elif done.status!=2 or len(done.err.strip().splitlines())!=1: part.bad(case, f"not one line: {done}")
            else:
                line = done.said[0] if done.said else ""
                lines.append(line)
                if str(room) not in line or not re.search("No space left|File too large", line): part.bad(case, f"does not name the place and the cause: {line}")
            for k, v in contents(stays/"out").items():
                if v!=earlier.get(k) and v!=work.due.get(k): part.bad(case, f"{k} is neither the earlier nor the new one")
            if lost := set(earlier)-set(contents(stays/"out")): part.bad(case, f"gone: {sorted(lost)[:3]}")
            if work.has_out: whole_model(part, case, stays/"out"/"model", earlier, work.due)
            if odd := unlike({k: o.read_bytes() for k, o in clips(stays/"cache").items()}, work.cache): part.bad(case, f"half written: {odd[:3]}")
            if left := rubbish(stays): part.bad(case, f"left behind: {[o.name for o in left][:3]}")
            before = len(clips(stays/"cache"))
            if mount: sere.sh(f"mount -o remount,size={4*(empty+cached+new)} '{room}'")
            done = work.fresh("room", sere=sere)
            if out() or done.status: part.bad(case, f"with room again: {done}")
            if done.encoded!=work.encoded-before: part.bad(case, f"with room again: {done.encoded} encoded, {before} of {work.encoded} were there")
            if contents(stays/"out")!=work.due or {k: v for k, v in contents(stays/"cache").items() if k.endswith(".safetensors")}!={k: v for k, v in work.cache.items() if k.endswith(".safetensors")}: part.bad(case, "with room again: other bytes")
            if mount: sere.sh(f"umount '{room}'")
    part.say.append(f"{len(cuts)-fine} of {len(cuts)} ended for want of room ({sum('cache' in o for o in lines)} in the cache)")
    if fine==len(cuts): part.bad("all", "no case was short of room")
    return part


def whole_model(part, case, model, *known):
    "The saved model is one of those known, not a mixture"
    of = lambda found: {k: v for k, v in found.items() if k in ("model/model.json", "model/model.safetensors")}
    found = of({f"model/{k}": v for k, v in contents(model).items()})
    if found not in [of(o) for o in known]: part.bad(case, "the model is a mixture of two")


# -- a cache that may be read but not written

def as_the_modes_say():
    "From here on the modes of files hold for root too: it gives up CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER"
    libc, head, data = ctypes.CDLL(None), (ctypes.c_uint32*2)(0x20080522, 0), (ctypes.c_uint32*6)()
    libc.capget(head, data)
    data[0] &= ~0b1110
    libc.capset(head, data)


def may_write(folder, yes):
    for o in [folder, *Path(folder).rglob("*")]: o.chmod((0o755 if o.is_dir() else 0o644) if yes else (0o555 if o.is_dir() else 0o444))


def read_only(work, quick):
    part, home = Part("faults: read-only cache"), work.home/"read only"
    cache = home/"cache"
    rng = random.Random(2)
    for case in ("complete", "lacks clips", "damaged clips", "empty", "sere embed", "out"):
        if quick and case in ("complete", "empty"): continue
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(work.home/"reference"/"cache", cache)
        some = rng.sample(sorted(clips(cache).values()), 5)
        match case:
            case "lacks clips" | "sere embed": [o.unlink() for o in some]
            case "damaged clips": [o.write_bytes(o.read_bytes()[:-40]+bytes(40)) for o in some]
            case "empty": shutil.rmtree(cache); cache.mkdir()
        (home/"out").mkdir()
        before = {k: o.read_bytes() for k, o in files(cache).items()}
        closed = cache if case!="out" else home/"out"
        may_write(closed, False)
        part.cases += 1
        words = ["embed", "--manifest", work.argv[work.argv.index("--source")+1], "--encoder", "acoustic", "--cache", cache, "-q"] if case=="sere embed" else work.words("read only")
        done = work.sere(*words, closed=str(closed))
        if case in ("sere embed", "out"):
            if done.status!=2 or len(done.said)!=1 or "cannot be written" not in done.said[0] or str(home) not in done.said[0] or done.encoded: part.bad(case, f"not stopped at once with one line: {done}")
        else:
            due = {"complete": 0, "empty": work.encoded}.get(case, 5)
            if done.status or done.encoded!=due: part.bad(case, str(done))
            if contents(home/"out")!=work.due: part.bad(case, "other bytes")
            told = [sum(o in line for line in done.said) for o in ("can only be read", "is damaged")]
            if told!=dict(complete=[0, 0]).get(case, [1, 5 if case=="damaged clips" else 0]): part.bad(case, f"said: {done.said[:3]}")
        may_write(closed, True)
        if {k: o.read_bytes() for k, o in files(cache).items()}!=before or rubbish(home): part.bad(case, "the cache was changed")
    shutil.rmtree(home)
    return part


# -- company

def shared(work, quick):
    "Four processes with one cache, some of them killed on the way"
    part, rng, times = Part("faults: a cache shared by 4 processes"), random.Random(4), []
    for i in range(1 if quick else 10):
        home = work.home/"shared"
        home.mkdir()
        for k in range(4): (home/f"{k}").mkdir(); (home/f"{k}"/"cache").symlink_to(home/"cache")
        damaged = []
        if i%3==2:      # they find the same damage, and mend it at the same time
            shutil.copytree(work.home/"reference"/"cache", home/"cache")
            damaged = rng.sample(sorted(clips(home/"cache").values()), work.encoded//3)
            for o in damaged: o.write_bytes(flip(o.read_bytes(), rng)+b"x")
        else: (home/"cache").mkdir()
        started = [work.sere.start(work.words(f"shared/{k}"), watch=str(work.home)) for k in range(4)]
        kills = [] if i%2==0 or damaged else rng.sample(range(4), 2)
        for k in kills:
            time.sleep(rng.uniform(0, work.seconds))
            with contextlib.suppress(ProcessLookupError): os.killpg(started[k][0], signal.SIGKILL)
        for k, one in enumerate(started):
            part.cases += 1
            done = work.sere.wait(one)
            if k in kills and done.status==-9: continue
            if done.status or [o for o in done.said if "is damaged" not in o or not damaged]!=work.said: part.bad(f"{i}/{k}", done); continue
            if contents(home/f"{k}"/"out")!=work.due: part.bad(f"{i}/{k}", "other bytes")
            times.append(done.encoded)
        if odd := unlike({k: o.read_bytes() for k, o in clips(home/"cache").items()}, work.cache): part.bad(f"{i}", f"not as written: {odd[:3]}")
        if len(clips(home/"cache"))!=work.encoded: part.bad(f"{i}", f"{len(clips(home/'cache'))} clips in the cache")
        if not kills and rubbish(home/"cache"): part.bad(f"{i}", "temporary files left")
        for f in (home/"cache"/"index").glob("*.jsonl"):
            for line in f.read_bytes().splitlines(): json.loads(line)     # whole lines, whoever wrote them
        work.again(part, f"{i}, again", "shared/0")
        shutil.rmtree(home)
    part.say.append(f"each encoded {min(times)} to {max(times)} of {work.encoded} clips")
    return part


# -- the clock

def clock(work, sounds, quick):
    "Times of files and the machine's clock far off; and a sound that changes while its size and time of change stay"
    part, home = Part("faults: wrong clock"), work.home/"clock"
    long = 40*365*86400
    for case, of_cache, of_sounds, years in [("cache from the future", long, 0, 0), ("cache of long ago", -long, 0, 0), ("clock set back", 0, 0, -30), ("clock set on", 0, 0, 30),
                                             ("sounds from the future", 0, long, -30), ("sounds before 1970", 0, -2*long, 30)][::2 if quick else 1]:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(work.home/"reference"/"cache", home/"cache")
        own = [o for o in Path(sounds).rglob("*") if o.is_file()]
        was = {o: o.stat().st_mtime_ns for o in own}
        for o in files(home/"cache").values(): os.utime(o, (time.time()+of_cache,)*2)
        if of_sounds: [os.utime(o, (time.time()+of_sounds,)*2) for o in own]
        for again in range(1 if quick else 2):      # the second time, with an index from under the wrong clock
            part.cases += 1
            work.again(part, f"{case}, {again}", "clock", years=years)
        for o, ns in was.items(): os.utime(o, ns=(ns, ns))
    # the file of a clip becomes that of another of the same size, and is dated as before
    table = read_manifest(work.argv[work.argv.index("--target")+1])
    n = 4 if quick else len(table)//2
    store = home/"same size"
    fresh = embed(table, "acoustic", store, progress=False)
    for i in range(n):
        part.cases += 1
        a, other = Path(table.file[i]), Path(table.file[len(table)-1-i])
        data, ns = a.read_bytes(), a.stat().st_mtime_ns
        new = (other.read_bytes()+bytes(len(data)))[:len(data)]
        a.write_bytes(new); os.utime(a, ns=(ns, ns))
        if a.stat().st_mtime_ns!=ns or a.stat().st_size!=len(data): part.bad(f"same size {i}", "the case was not made")
        key = hashlib.sha256(new).hexdigest()
        with warnings.catch_warnings(record=True): found = embed(table[i:i+1], "acoustic", store, progress=False)
        if found.table.key[0]!=key: part.bad(f"same size {i}", "the old clip was taken for the new one")
        a.write_bytes(data); os.utime(a, ns=(ns, ns))
    if embed(table, "acoustic", store, progress=False).table.key.tolist()!=fresh.table.key.tolist(): part.bad("same size", "old files are not known again")
    shutil.rmtree(home)
    return part


# -- other versions

def plain(tensors):
    from safetensors.torch import save
    return save(tensors)


def other_version(work, quick):
    "A cache of an older or newer version, whose clips hold other numbers; clips without a checksum; an older index"
    part, encoder = Part("faults: a cache of another version"), load_encoder("acoustic")
    from safetensors.torch import load
    for case, step in (("older", -1), ("newer", 1), ("without checksums", 0), ("older index", None)):
        if quick and case=="newer": continue
        home = work.home/"version"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(work.home/"reference"/"cache", home/"cache")
        part.cases += 1
        now = home/"cache"/encoder.key
        if step is not None:
            for o in now.rglob("*.safetensors"): o.write_bytes(plain({k: v*0 for k, v in load(o.read_bytes()).items()}))     # who uses them will be seen
        if step:
            settings = dict(encoder.settings, code=encoder.settings["code"]+step)
            (now/"settings.json").write_text(json.dumps(dict(name="acoustic", settings=settings)))
            now.rename(now.with_name(f"acoustic-{hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]}"))
        for o in (home/"cache"/"index").glob("*.jsonl"):      # path, size, time of change and key, and that of another clip
            lines = [json.loads(line) for line in o.read_text().splitlines()]
            o.write_text("".join(json.dumps([a[0], a[1], a[2], b[-2]])+"\n" for a, b in zip(lines, lines[1:]+lines[:1])))
        kept = contents(home/"cache") if step else {}
        done = work.fresh("version")
        if done.status: part.bad(case, done); continue
        if contents(home/"out")!=work.due: part.bad(case, "other bytes")
        if done.encoded!=(work.encoded if step is not None else 0): part.bad(case, f"{done.encoded} encoded")
        said = [o for o in done.said if "another version" in o], [o for o in done.said if "is damaged" in o]
        if [len(o) for o in said]!={"older": [1, 0], "newer": [1, 0], "without checksums": [0, work.encoded], "older index": [0, 0]}[case]: part.bad(case, f"said {done.said[:2]}")
        now_there = contents(home/"cache")
        if odd := [k for k, v in kept.items() if "index" not in k and now_there.get(k)!=v]: part.bad(case, f"the other version's files were touched: {odd[:3]}")
        if work.fresh("version").said!=work.said: part.bad(case, "said a second time")
        shutil.rmtree(home)
    return part


# -- bits

def flip(data, rng):
    "One bit, some bits, a burst, a page of zeros, two pages in each other's place, an end that is missing"
    data = bytearray(data)
    match rng.choice(["one", "one", "one", "head", "some", "burst", "page", "swap", "end"]):
        case "one": data[rng.randrange(len(data))] ^= 1<<rng.randrange(8)
        case "head": data[rng.randrange(min(len(data), 340))] ^= 1<<rng.randrange(8)
        case "some":
            for _ in range(rng.randint(2, 40)): data[rng.randrange(len(data))] ^= 1<<rng.randrange(8)
        case "burst": at = rng.randrange(len(data)); data[at:at+64] = rng.randbytes(len(data[at:at+64]))
        case "page": at = rng.randrange(0, len(data), 512); data[at:at+512] = bytes(len(data[at:at+512]))
        case "swap": half = len(data)//2; data[:] = data[half:2*half]+data[:half]+data[2*half:]
        case "end": del data[rng.randrange(len(data)):]
    return bytes(data)


def same(a, b):
    "Are these the same clips with the same numbers?"
    return a.table[["path", "key", "start_s", "seconds"]].equals(b.table[["path", "key", "start_s", "seconds"]]) and a.views.keys()==b.views.keys() and all(
        torch.equal(a.views[v].values.view(torch.int16), b.views[v].values.view(torch.int16)) and torch.equal(a.views[v].offsets, b.views[v].offsets) for v in a.views)


def quietly(table, encoder, cache, **how):
    "(clips, what was said)"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        return embed(table, encoder, cache, False, **how), [str(o.message) for o in said]


def flipped(folder, encoder, quick):
    "Damage anywhere in the files of clips: each is noticed, said, and encoded again"
    part, rng = Part("faults: flipped bits in clips"), random.Random(1)
    table = read_manifest(data_samples()/"manifest.csv").sample(40 if quick else 240, random_state=0).reset_index(drop=True)
    cache = folder/"flipped"
    fresh, _ = quietly(table, encoder, cache)
    names = clips(cache)
    whole = {k: o.read_bytes() for k, o in names.items()}
    for turn in range(3 if quick else 15):
        damaged = {}
        for k, o in names.items():
            data = flip(whole[k], rng)
            if data!=whole[k]: o.write_bytes(data); damaged[k] = data
        part.cases += len(damaged)
        found, said = quietly(table, encoder, cache)
        told = {line.partition(": ")[0] for line in said if "is damaged" in line}
        for k in damaged:
            if str(names[k]) not in told: part.bad(f"{turn}/{k[-20:]}", "not noticed")
            if names[k].read_bytes()!=whole[k]: part.bad(f"{turn}/{k[-20:]}", "not mended")
        if not same(found, fresh): part.bad(f"{turn}", "other numbers")
        if quietly(table, encoder, cache)[1]: part.bad(f"{turn}", "said a second time")
    # clips that stay in the cache, damaged after a look at them
    stays, _ = quietly(table, encoder, cache, memory_gb=1e-6)
    assert isinstance(stays, Stored)
    for i in range(10):
        part.cases += 1
        k = rng.choice([o for o in names if fresh.table.key[i] in o])
        names[k].write_bytes(flip(whole[k], rng)+b"x")
        try: stays[[i]].load(); part.bad(f"stored {i}", "not noticed")
        except CacheError as e:
            if str(names[k]) not in str(e) or "\n" in str(e) or "again" not in str(e): part.bad(f"stored {i}", e)
    found, said = quietly(table, encoder, cache, memory_gb=1e-6)
    if not same(found.load(), fresh) or len(said)!=10: part.bad("stored", f"not mended: {said[:2]}")
    return part


def flipped_index(folder, quick):
    "Damage anywhere in the index or in settings.json: never another clip's key, never other numbers"
    part, rng = Part("faults: flipped bits in the index"), random.Random(6)
    table = read_manifest(data_samples()/"it.csv").iloc[:8].reset_index(drop=True)
    cache = folder/"flipped index"
    fresh, _ = quietly(table, "acoustic", cache)
    index, = (cache/"index").glob("*.jsonl")
    settings, = cache.glob("*/settings.json")
    whole, words, reads = index.read_bytes(), settings.read_bytes(), 0
    places = sorted(rng.sample(range(8*len(whole)), 150)) if quick else range(0, 8*len(whole), 3)
    for bit in places:
        part.cases += 1
        data = bytearray(whole)
        data[bit//8] ^= 1<<bit%8
        index.write_bytes(data)
        if bit%2: settings.write_bytes(flip(words, rng))
        store = EmbeddingCache(cache)
        keys = [store.index.key(o) for o in table.file]
        if keys!=fresh.table.key.tolist(): part.bad(bit, "a wrong key")
        reads += sum(store.index._of(o)[1].get(o, (None,))[-1]!=k for o, k in zip(table.file, keys))
        if bit%40==0 and (not same(quietly(table, "acoustic", cache)[0], fresh)): part.bad(bit, "other numbers")
    part.say.append(f"{reads/len(places):.2f} of {len(table)} sounds hashed again for each bit")
    if reads<len(places)*.9: part.bad("all", "some damaged lines were believed")
    return part


def flipped_shards(folder, quick):
    "Damage anywhere in a shard or in the manifest beside it: one line, or the same numbers and names"
    part, rng = Part("faults: flipped bits in shards"), random.Random(7)
    try: from sere_nb.cluster import ClusterError, encode_shards, read_shards, shard_manifest
    except ImportError as e:
        part.say.append(f"left out: {e}")
        return part
    home = folder/"flipped shards"
    go = lambda: encode_shards(read_manifest(data_samples()/"it.csv").iloc[:8].reset_index(drop=True), "acoustic", home, each=4, workers=0, progress=False)
    go()
    fresh, rows, refused = read_shards(home), shard_manifest(home), 0
    for file, n in ((home/"embeddings"/"00001.parquet", 100 if quick else 4000), (home/"manifest.parquet", 4 if quick else 100)):
        whole = file.read_bytes()
        footer = 8+int.from_bytes(whole[-8:-4], "little")
        for i in range(n):
            part.cases += 1
            bit = rng.randrange(8*(len(whole)-footer if i%2 else 0), 8*len(whole))
            data = bytearray(whole)
            data[bit//8] ^= 1<<bit%8
            file.write_bytes(data)
            try:
                if not rows.equals(shard_manifest(home)) if file.parent==home else not (same(found := read_shards(home), fresh) and found.table.equals(fresh.table)): part.bad(f"{file.name} {bit}", "other numbers or names")
            except ClusterError as e:
                refused += 1
                if "\n" in str(e) or file.name not in str(e): part.bad(f"{file.name} {bit}", e)
            except Exception as e: part.bad(f"{file.name} {bit}", f"{type(e).__name__}: {e}")
        file.write_bytes(whole)
        go()
    part.say.append(f"{refused} refused in a line, the others did not matter")
    if refused<.9*part.cases: part.bad("all", "some damage was not noticed")
    return part


# -- all

def moved(folder):
    "A copy of the sample corpus whose files may be changed"
    for name in ("de", "it"):
        shutil.copytree(data_samples()/name, folder/name)
        shutil.copy(data_samples()/f"{name}.csv", folder)
    return folder


def soak(quick=False):
    with tempfile.TemporaryDirectory(prefix="soak faults ") as d:
        d = Path(d).resolve()
        with Sere(d/"logs") as sere:
            if quick:
                from conftest import make_corpus
                (d/"sounds").mkdir()
                source, target = make_corpus(d/"sounds", clips=3, language="aa", name="source.csv"), make_corpus(d/"sounds", clips=2, language="bb", name="target.csv", f0=108)
                run = Work(sere, d/"run", run_words(source, target))
                one = Work(sere, d/"embed", ["embed", "--manifest", target, "--encoder", "acoustic"], out=False)
                encoder = "acoustic"
            else:
                sounds = moved(d/"sounds") if (d/"sounds").mkdir() is None else None
                encoder = f"{tiny_model(d/'tiny')}+acoustic"
                run = Work(sere, d/"run", run_words(sounds/"de.csv", sounds/"it.csv"))
                # a transformer may round a value otherwise in another batch, which is what a second run has: bytes are promised of the acoustic encoder alone
                one = Work(sere, d/"embed", ["embed", "--manifest", data_samples()/"manifest.csv", "--encoder", "acoustic"], out=False)
            for work in (run, one):
                part = Part(f"faults: SIGKILL, sere {work.argv[0]}")
                killed(part, work, quick)
                yield part.row()
            yield full_disk(run, quick).row()
            if not quick: yield full_disk(one, quick).row()
            yield read_only(run, quick).row()
            yield shared(run, quick).row()
            yield clock(run, d/"sounds", quick).row()
            yield other_version(run, quick).row()
        yield flipped(d, encoder, quick).row()
        yield flipped_index(d, quick).row()
        yield flipped_shards(d, quick).row()


if __name__=="__main__":
    if "--server" in sys.argv: server()
    else:
        for row in soak("--quick" in sys.argv): print(f"{row['part']}: {row['cases']} cases, {row['lost']} lost. {row['note']}", flush=True)
