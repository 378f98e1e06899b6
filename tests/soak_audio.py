"""Thousands of damaged, absurd and hostile sound files through `sere check`, `embed` and `run`.

    python tests/soak_audio.py [--quick] [--keep FOLDER]

What must hold: no crash, no file that takes more than 5 s, no process that holds more than 1 GB at its peak (all of it:
Python, torch and umap too, as the kernel counts it), and every file accounted for: used, or named once with the reason.
The corpus is made from `data_samples` by a seed, in a temporary folder."""
import csv, io, json, os, queue, random, re, socket, struct, subprocess, sys, tempfile, threading, time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np, soundfile as sf
from sere_nb.corpora import data_samples

SLOW_S, HANG_S, MEMORY = 5., 20., 1e9
FULL, QUICK = 2100, 120     # files; the last of them are good ones

# -- seeds: a clip in every container that libsndfile writes and may meet again, damaged

FORMATS = {"wav": ("WAV", "PCM_16"), "float.wav": ("WAV", "FLOAT"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
           "mp3": ("MP3", "MPEG_LAYER_III"), "ima.wav": ("WAV", "IMA_ADPCM"), "ms.wav": ("WAV", "MS_ADPCM"), "gsm.wav": ("WAV", "GSM610"), "wavex": ("WAVEX", "PCM_24"),
           "rf64": ("RF64", "PCM_16"), "aiff": ("AIFF", "PCM_16"), "au": ("AU", "ULAW"), "caf": ("CAF", "ALAC_16"), "w64": ("W64", "PCM_16"),
           "voc": ("VOC", "PCM_16"), "nist": ("NIST", "PCM_16"), "ircam": ("IRCAM", "PCM_16"), "paf": ("PAF", "PCM_24"), "svx": ("SVX", "PCM_16"),
           "mat4": ("MAT4", "PCM_16"), "mat5": ("MAT5", "PCM_16"), "xi": ("XI", "DPCM_16"), "sds": ("SDS", "PCM_16"), "avr": ("AVR", "PCM_16"), "htk": ("HTK", "PCM_16")}
USUAL = ("wav", "float.wav", "flac", "ogg", "opus", "mp3")


def encoded(samples, rate, ext):
    "A clip as the bytes of a file"
    out, (form, sub) = io.BytesIO(), FORMATS[ext]
    sf.write(out, samples, rate, format=form, subtype=sub)
    return out.getvalue()


def seeds(n=3):
    "{extension: [bytes of `n` clips]}"
    files = sorted((data_samples()/"it").glob("*.ogg"))
    clips = [sf.read(f, dtype="float32")[0] for f in files[::len(files)//n][:n]]
    rate = sf.info(files[0]).samplerate
    return {ext: [encoded(x, rate, ext) for x in clips] for ext in FORMATS}


# -- damage by chance

def flip(data, rng, seeds):
    out = bytearray(data)
    for _ in range(rng.randint(1, 64)): out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return out


def flip_head(data, rng, seeds):
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)): out[rng.randrange(min(len(out), 96))] ^= 1 << rng.randrange(8)
    return out


EXTREME = (0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 0x10000)


def field(data, rng, seeds):
    "One field of the header is the most, the least, or nothing"
    out, at = bytearray(data), rng.randrange(0, min(len(data)-4, 120), 2)
    out[at:at+4] = struct.pack(rng.choice("<>")+"I", rng.choice(EXTREME))
    return out


def cut(data, rng, seeds): return data[:rng.randrange(len(data))]


def hole(data, rng, seeds):
    out, at, n = bytearray(data), rng.randrange(len(data)), rng.choice((16, 500, 5000))
    out[at:at+n] = rng.choice((bytes(n), rng.randbytes(n)))[:len(out[at:at+n])]
    return out


def insert(data, rng, seeds):
    at = rng.randrange(len(data))
    return data[:at]+rng.randbytes(rng.choice((1, 2, 3, 1000)))+data[at:]


def splice(data, rng, seeds):
    "The head of one format, the body of another"
    return data[:rng.choice((4, 12, 44, 200))]+rng.choice(seeds[rng.choice(list(seeds))])[rng.choice((0, 44, 200)):]


DAMAGE = (flip, flip_head, field, cut, hole, insert, splice)

# -- absurd on purpose: name, and who makes the file at `path`


def wav(body=b"", rate=16000, channels=1, bits=16, code=1, size=None, riff=None, align=None, before=b""):
    "A wav by hand"
    size, align = len(body) if size is None else size, channels*bits//8 if align is None else align
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, code, channels & 0xffff, rate & 0xffffffff, (rate*align) & 0xffffffff, align & 0xffff, bits)
    return b"RIFF"+struct.pack("<I", (36+len(before)+size if riff is None else riff) & 0xffffffff)+b"WAVE"+before+head+b"data"+struct.pack("<I", size)+body


def streaminfo(flac, rate=None, channels=None, total=None, block=None):
    "Another STREAMINFO in a flac"
    out = bytearray(flac)
    x = int.from_bytes(out[18:26], "big")     # rate 20 bits, channels-1 3, bits-1 5, total 36
    part = dict(rate=x>>44, channels=(x>>41)&7, bits=(x>>36)&31, total=x&(2**36-1))
    part |= {k: v for k, v in dict(rate=rate, channels=channels, total=total).items() if v is not None}
    out[18:26] = (part["rate"]<<44 | part["channels"]<<41 | part["bits"]<<36 | part["total"]).to_bytes(8, "big")
    if block is not None: out[8:12] = struct.pack(">HH", block, block)
    return bytes(out)


def id3(size, body=b"", flags=0, version=4):
    "An ID3v2 tag that says it has `size` bytes"
    return b"ID3"+bytes((version, 0, flags))+bytes((size>>21)&127 if i==0 else (size>>(21-7*i))&127 for i in range(4))+body


def long_file(path, ext, seconds, rate=8000, channels=1, sound=3.):
    "A little file that lasts for hours: some sound, then nothing"
    form, sub = FORMATS[ext]
    t = np.arange(int(sound*rate))/rate
    voice = (.3*np.sin(2*np.pi*150*t)*np.sin(9*t)**2).astype("float32")
    with sf.SoundFile(path, "w", rate, channels, format=form, subtype=sub) as f:
        f.write(np.repeat(voice[:, None], channels, 1))
        block = np.zeros((2**22//channels, channels), "int16")
        left = int(seconds*rate)-len(voice)
        while left>0: f.write(block[:left]); left -= len(block)


def sparse(path, head, size):
    "A file of `size` bytes that takes no room on the disk"
    with open(path, "wb") as f: f.write(head); f.truncate(size)


def special(folder, quick):
    "Name: how the case is made. A name that begins with 'dead' can never be used; with 'fine', always"
    seed = seeds()
    pcm, flac, mp3, ogg = seed["wav"][0][44:], seed["flac"][0], seed["mp3"][0], seed["ogg"][0]
    floats = np.frombuffer(pcm, "<i2").astype("<f4")/32768
    out = {}
    put = lambda name, data: out.update({name: lambda p: p.write_bytes(data)})
    for rate in (0, 1, 7, 999, 1999, 8001, 1_000_003, 15_999_989, 2**31-1, 2**31, 2**32-1): put(f"rate {rate}.wav", wav(pcm, rate))
    for n in (0, 2, 3, 255, 1024, 1025, 65535): put(f"{'dead ' if n in (0, 65535) else ''}channels {n}.wav", wav(pcm, channels=n))
    for bits in (0, 1, 7, 8, 12, 32, 64, 1000, 65535): put(f"bits {bits}.wav", wav(pcm, bits=bits))
    for code in (0, 2, 3, 6, 7, 17, 49, 80, 85, 0x674f, 0xfffe, 0xffff): put(f"code {code}.wav", wav(pcm, code=code))
    for size in (2**31-1, 2**31, 2**32-1, 0): put(f"data says {size}.wav", wav(pcm, size=size))
    for riff in (0, 2**31, 2**32-1): put(f"riff says {riff}.wav", wav(pcm, riff=riff))
    put("align 0.wav", wav(pcm, align=0)); put("align 65535.wav", wav(pcm, align=65535))
    put("chunk of 2 GB.wav", wav(pcm, before=b"LIST"+struct.pack("<I", 2**31)))
    put("chunks without end.wav", wav(pcm, before=(b"junk"+struct.pack("<I", 0))*50_000))
    put("two heads.wav", wav(wav(pcm)))
    for name, x in {"1e30": floats*1e30, "3e38": floats*3e38, "1e-30": floats*1e-30, "int16 range": floats*32768, "one spike": np.where(np.arange(len(floats))==9000, 3e38, floats),
                    "nan": np.where(np.arange(len(floats))==9000, np.nan, floats), "-inf": np.where(floats==floats.min(), -np.inf, floats)}.items():
        put(f"{'dead ' if name in ('nan', '-inf') else ''}level {name}.wav", wav(x.astype("<f4").tobytes(), bits=32, code=3))
    put("double 1e300.wav", wav((floats.astype("<f8")*1e300).tobytes(), bits=64, code=3))
    put("full scale square.wav", wav(np.where(np.arange(16000)//80%2, 32767, -32768).astype("<i2").tobytes()))
    for ms, at in ((100, 0), (100, 1300), (101, 700), (120, 0), (120, 1600), (150, 2100)):   # a burst in a tenth of a second: what trimming leaves is shorter still
        x = np.zeros(ms*16, "<i2"); x[at:at+300:2] = 20000; x[at+1:at+300:2] = -20000
        put(f"burst {ms} ms {at}.wav", wav(x.tobytes()))
    for rate in (1, 655350, 999, 65537): put(f"rate {rate}.flac", streaminfo(flac, rate=rate))
    for total in (0, 1, 2**31, 2**36-1): put(f"total {total}.flac", streaminfo(flac, total=total))
    put("channels 8.flac", streaminfo(flac, channels=7)); put("block 16.flac", streaminfo(flac, block=16)); put("block 65535.flac", streaminfo(flac, block=65535))
    put("tag of 256 MB that is not there.mp3", id3(2**28-1)+mp3)
    put("tag in tag.mp3", b"".join(id3(10) for _ in range(20_000))+mp3)
    put("tag with pictures.mp3", (lambda f: id3(len(f), f, version=3)+mp3)(b"".join(b"APIC"+struct.pack(">I", 2**31-1)+b"\0\0"+b"\0image/png\0\3\0"+bytes(50) for _ in range(5000))))
    put("tag with text of 2 GB.mp3", (lambda f: id3(len(f), f, version=3)+mp3)(b"TIT2"+struct.pack(">I", 2**31-1)+b"\0\0\3"+b"a"*1000))
    put("tag all flags.mp3", id3(1000, bytes(1000), flags=255)+mp3)
    put("tag behind.mp3", mp3+b"TAG"+b"\xff"*125); put("tag before wav.wav", id3(100, bytes(100))+wav(pcm))
    out["tag of 250 MB.mp3"] = lambda p: (sparse(p, id3(250*2**20), 250*2**20+10), open(p, "ab").write(mp3))
    put("xing 2^32.mp3", mp3[:200].replace(b"Info", b"Xing")+mp3[200:])
    at = ogg.rfind(b"OggS")
    put("granule 2^62.ogg", ogg[:at+6]+struct.pack("<q", 2**62)+ogg[at+14:]); put("granule -1.ogg", ogg[:at+6]+struct.pack("<q", -1)+ogg[at+14:])
    put("chained.ogg", ogg*4); put("chained opus vorbis.ogg", seed["opus"][0]+ogg)
    for name, ten in {"0": bytes(10), "inf": b"\x7f\xff\x80"+bytes(7), "nan": b"\x7f\xff\xc0"+bytes(7), "minus": b"\xc0\x0c\xfa"+bytes(7), "huge": b"\x7f\xfe\xff"+bytes(7)}.items():
        a = seed["aiff"][0]; i = a.find(b"COMM")+16
        put(f"rate {name}.aiff", a[:i]+ten+a[i+10:])
    put("dead empty.wav", b""); put("dead words.mp3", b"these are words\n"*400); put("dead noise.wav", random.Random(0).randbytes(9000)); put("dead head only.wav", wav())
    put("dead zip.wav", b"PK\3\4"+bytes(3000)); put("dead 20 ms.wav", wav(pcm[8000:8640])); put("dead zeros.wav", wav(bytes(32000)))
    # little files that inflate
    out["two hours.flac"] = lambda p: long_file(p, "flac", 7200)
    out["ten hours without a count.mp3"] = lambda p: (long_file(p, "mp3", 60), p.write_bytes(p.read_bytes().replace(b"Xing", b"none").replace(b"Info", b"none")*600))
    out["8 channels at 655350 Hz.flac"] = lambda p: long_file(p, "flac", 8 if quick else 60, 655350, 8)
    out["8 channels at 655350 Hz, damaged.flac"] = lambda p: (long_file(p, "flac", 60, 655350, 1), p.write_bytes(p.read_bytes()[:-4000]))
    out["255 channels.opus"] = lambda p: long_file(p, "opus", .2 if quick else 4, 48000, 255, .2)
    out["1024 channels of 3 GB.wav"] = lambda p: sparse(p, wav(pcm, 48000, 1024, size=3_000_000_000), 3_000_000_044)
    out["3 GB of zeros.wav"] = lambda p: sparse(p, wav(pcm, size=3_000_000_000), 3_000_000_044)
    if not quick:
        out["two hours.mp3"] = lambda p: long_file(p, "mp3", 7200)
        out["twenty minutes.ogg"] = lambda p: long_file(p, "ogg", 1200)
        out["an hour.opus"] = lambda p: long_file(p, "opus", 3600)
        out["forty hours.flac"] = lambda p: long_file(p, "flac", 144_000)
    out["dead a terabyte of nothing.wav"] = lambda p: sparse(p, b"", 10**12)
    # what is no file, or not there
    out["dead pipe.wav"] = os.mkfifo
    out["dead folder.wav"] = os.mkdir
    out["dead socket.wav"] = make_socket
    for name, to in dict(itself="dead itself.wav", ring="dead gnir.wav", gnir="dead ring.wav", dangling="nowhere", pipe="dead pipe.wav", folder="..",
                         zero="/dev/zero", random="/dev/urandom", null="/dev/null", full="/dev/full", stdin="/dev/stdin", tty="/dev/tty", memory="/proc/self/mem", core="/proc/kcore").items():
        out[f"dead link to {name}.wav" if name in ("pipe", "folder", "zero", "random", "null", "full", "stdin", "tty", "memory", "core") else f"dead {name}.wav"] = lambda p, to=to: os.symlink(to, p)
    out["dead of a socket "+"x"*200+".wav"] = lambda p: os.symlink("/dev/zero", p)
    for name in ("fine with, comma.wav", "fine \"quoted\" 😀.wav", "fine\nin two lines.wav", "fine \x1b[31mred.wav", "fine سلام.wav"): put(name, wav(pcm))
    return seed, out


def make_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)       # a socket's whole path may have 107 letters
    try:
        with socket.socket(socket.AF_UNIX) as s: s.bind(path.name)
    finally: os.chdir(here)


ODD_PATHS = ("/dev/zero", "/dev/random", "missing.wav", "a"*300+".wav", "b/"*3000+"c.wav", "nul\0byte.wav", "/proc/self/environ", "dead folder.wav/inside.wav", "fine with, comma.wav/inside.wav",
             "~nobody/x.wav", ".", "..", "/", "http://example.org/a.wav", "dead\x00.wav", "%s%n{0}.wav", "-")


def make(folder, quick):
    """The corpus: paths as a manifest has them. The kind of a case is the first words of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()): sys.exit(f"{folder}: not empty. Name a new folder.")
    seed, absurd = special(folder, quick)
    paths = []
    for name, how in absurd.items():
        how(folder/name)
        paths.append(name)
    paths += ODD_PATHS
    total = QUICK if quick else FULL
    if quick:      # every third of the absurd, with the worst of them; every damage
        worst = re.compile("pipe|zero|core|itself|hours|Hz|GB|MB|terabyte|burst|level|rate (0|1|999|214)|nul|fine|b/b")
        paths = [o for i, o in enumerate(paths) if worst.search(o) or i%6==0]
    rng, usual = random.Random(7), list(USUAL)*4+[o for o in FORMATS if o not in USUAL]
    for i in range(total-len(paths)-(10 if quick else 40)):
        damage, ext = DAMAGE[i%len(DAMAGE)], usual[i//len(DAMAGE)%len(usual)] if not quick else usual[i%len(usual)]
        paths.append(f"{damage.__name__} {i}.{ext}")
        (folder/paths[-1]).write_bytes(damage(rng.choice(seed[ext]), rng, seed))
    for i in range(total-len(paths)):
        paths.append(f"fine {i}.{USUAL[i%6]}")
        (folder/paths[-1]).write_bytes(seed[USUAL[i%6]][i%3])
    return paths


def manifest(file, rows, language):
    with open(file, "w", encoding="utf-8", newline="") as f:
        w = csv.writer(f)
        w.writerow(["path", "language", "speaker", "emotion"])
        w.writerows([o, language, "", ""] for o in rows)
    return file


# -- what is promised

class Part:
    "A part of the soak: cases that broke the promise, and the first of them"
    def __init__(self, name): self.name, self.cases, self.lost, self.worst, self.say = name, 0, set(), [], []
    def bad(self, case, why):
        self.lost.add(case)
        self.worst.append(f"{str(case)[:60]!r}: {why}")
    def row(self): return dict(part=self.name, cases=self.cases, lost=len(self.lost), note="; ".join([*self.say, *self.worst[:5]]))


def one_by_one(folder, paths):
    "Each file alone through `embed`, in a process that is watched"
    part, times, peak, left = Part("audio: each file alone"), {}, 0, list(paths)
    part.cases, outcomes = len(paths), Counter()
    while left:
        child = subprocess.Popen([sys.executable, __file__, "--alone", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8", start_new_session=True)
        said = queue.Queue()
        threading.Thread(target=lambda: ([said.put(line) for line in child.stdout], said.put(None)), daemon=True).start()
        said.get(timeout=120)     # ready
        while left:
            try:
                child.stdin.write(json.dumps(left[0])+"\n"); child.stdin.flush()
                line = said.get(timeout=HANG_S)
            except (queue.Empty, BrokenPipeError) as e: line = "" if isinstance(e, queue.Empty) else None
            path = left.pop(0)
            if not line:
                part.bad(path, f"hangs, more than {HANG_S:g} s" if line=="" else f"the process died ({child.wait(10)})")
                break
            o = json.loads(line)
            times[path], peak = o["s"], max(peak, o["peak"])
            outcomes[o["kind"]] += 1
            if o["s"]>SLOW_S: part.bad(path, f"{o['s']:.1f} s")
            if o["grew"]>0 and o["peak"]>MEMORY: part.bad(path, f"memory up to {o['peak']/1e6:.0f} MB")
            if o["kind"] not in ("used", "refused"): part.bad(path, o["kind"])
            elif path.startswith("dead") and o["kind"]!="refused" or path.startswith("fine ") and "/" not in path and o["kind"]!="used": part.bad(path, f"{o['kind']}, against expectation")
        child.kill()
        child.wait()
    slow = max(times, key=times.get)
    part.say = [f"{outcomes['used']} used, {outcomes['refused']} refused in a line; slowest {times[slow]:.2f} s ({slow[:40]!r}); peak {peak/1e6:.0f} MB"]
    return part


def alone(folder):
    "The watched process: a path a line on stdin, what came of it on stdout"
    import resource, traceback, warnings
    import pandas as pd
    from sere_nb.audio import AudioError
    from sere_nb.paths import _file
    from sere_nb.encoder import load_encoder, embed
    encoder = load_encoder("acoustic")
    peak = peak_memory
    say = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)       # libraries in C may print
    print("ready", file=say, flush=True)
    for line in sys.stdin:
        path, before, start = json.loads(line), peak(), time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                out = embed(pd.DataFrame([dict(path=path, file=_file(path, folder), language="xx")]), encoder, None, False)
            kind = "used"
            x, p = out.views["acoustic"].values[:, 1:], out.views["prosody"].values
            if not (x.isfinite().all() and p.isfinite().all()): kind = "values that are not finite"
            if not .1<=out.table.seconds[0]<=30.01: kind = f"{out.table.seconds[0]} s long"
        except AudioError as e:
            text = str(e).replace(path, "PATH")
            kind = "refused" if "\n" not in text and len(text.partition("PATH")[2])<300 else f"refused, but not in a line: {text!r}"
        except Exception as e: kind = f"{type(e).__name__}: {e}"[:200]+" in "+traceback.extract_tb(e.__traceback__)[-1].name
        print(json.dumps(dict(kind=kind, s=time.perf_counter()-start, peak=peak(), grew=peak()-before)), file=say, flush=True)


def peak_memory():
    "Bytes that this process has held at most. Linux's ru_maxrss begins with what the parent held, so it is read elsewhere there"
    try: return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])*1024
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss*(1 if sys.platform=="darwin" else 1024)


RUN = f"""import atexit, sys
sys.path.insert(0, {str(Path(__file__).resolve().parent)!r})
from soak_audio import peak_memory
to = sys.argv.pop(1)
atexit.register(lambda: open(to, 'w').write(str(peak_memory())))
from sere_nb.cli import main
sys.exit(main())"""


def sere(part, args, folder, timeout):
    "A command, with its peak of memory: (status, stdout, stderr)"
    with open(folder/"stdout", "wb") as o, open(folder/"stderr", "wb") as e:
        start, env = time.perf_counter(), dict(os.environ, SERE_CACHE=str(folder/"default cache"), PYTHONIOENCODING="utf-8")
        child = subprocess.Popen([sys.executable, "-c", RUN, str(folder/"peak"), *map(str, args)], stdin=subprocess.DEVNULL, stdout=o, stderr=e, env=env)
        alarm = threading.Timer(timeout, child.kill)
        alarm.start()
        child.wait()
        alarm.cancel()
    seconds = time.perf_counter()-start
    out, err = (Path(folder/f).read_text(encoding="utf-8", errors="replace") for f in ("stdout", "stderr"))
    peak = int((folder/"peak").read_text()) if (folder/"peak").exists() else 0     # 0: it was killed, which its status says
    (folder/"peak").unlink(missing_ok=True)
    part.say.append(f"{seconds:.0f} s, peak {peak/1e6:.0f} MB")
    if peak>MEMORY: part.bad(f"sere {args[0]}", f"peak of {peak/1e6:.0f} MB")
    if child.returncode not in (0, 2) or "Traceback" in err: part.bad(f"sere {args[0]}", f"status {child.returncode} after {seconds:.0f} s: {err.strip()[-300:]}")
    return child.returncode, out, err


def check(folder, paths, timeout):
    "`sere check`: at most one error a row; (the part, rows with an error)"
    part = Part("audio: sere check")
    part.cases, file = len(paths), manifest(folder/"still.csv", paths, "it")
    lines = dict(zip(line_numbers(file), paths))
    status, out, _ = sere(part, ["check", file, "-q"], folder, timeout)
    found = re.findall(rf"^{re.escape(str(file))}:(\d+): error: (.*)$", out, re.M)
    n = Counter(int(o) for o, _ in found)
    for line, path in lines.items():
        if n[line]>1: part.bad(path, f"named {n[line]} times")
        if path.startswith("dead") and not n[line]: part.bad(path, "not named")
        if path.startswith("fine ") and "/" not in path and n[line]: part.bad(path, "refused")
    if status!=2 or set(n)-set(lines): part.bad("sere check", f"status {status}, rows that are not there: {sorted(set(n)-set(lines))[:3]}")
    part.say.append(f"{len(n)} named as errors")
    return part, len(n)


def line_numbers(file):
    with open(file, encoding="utf-8", newline="") as f:
        reader = csv.reader(f)
        return [reader.line_num for _ in reader][1:]


def embed(folder, paths, errors, timeout):
    "`sere embed`: as many are used and left out as `check` says"
    part = Part("audio: sere embed")
    part.cases = len(paths)
    status, out, err = sere(part, ["embed", "--manifest", folder/"still.csv", "--encoder", "acoustic", "--cache", folder/"cache", "-q"], folder, timeout)
    m = re.search(r"^(\d[\d,]*) clips?, .*?(?:; ([\d,]+) clips? left out)?\.$", out, re.M)
    used, left = (int((o or "0").replace(",", "")) for o in m.groups()) if m else (0, 0)
    if status or used+left!=len(paths): part.bad("sere embed", f"status {status}; {used} used and {left} left out of {len(paths)}")
    if left!=errors: part.bad("sere embed", f"{left} left out, but check named {errors}")
    part.say.append(f"{used} encoded, {left} left out")
    return part


def run(folder, paths, restless, timeout):
    "`sere run` on bad and good clips while some of the files change: every path is in predictions.csv or skipped.csv, once"
    part = Part("audio: sere run")
    good = [str(o) for o in sorted((data_samples()/"it").glob("*.ogg"))[::2]]
    rows = [*paths, *restless, *good]
    part.cases = len(rows)
    file, out = manifest(folder/"all.csv", rows, "it"), folder/"out"
    status, _, err = sere(part, ["run", "--source", data_samples()/"de.csv", "--target", file, "--out", out, "--cache", folder/"cache", "--map", "pca", "--audio-mb", "1", "-q"], folder, timeout)
    if status: part.bad("sere run", f"status {status}: {err.strip()[-300:]}"); return part
    read = lambda name: list(csv.DictReader(io.StringIO((out/name).read_text(encoding="utf-8"), newline="")))
    named, skipped = read("predictions.csv"), read("skipped.csv")
    n, k = Counter(o["path"] for o in named), Counter(o["path"] for o in skipped)
    for path in rows:
        if n[path]+k[path]!=1: part.bad(path, f"{n[path]} times in predictions, {k[path]} times in skipped")
        if path.startswith("dead") and n[path]: part.bad(path, "named an emotion")
        if (path in good or path.startswith("fine ") and "/" not in path) and k[path]: part.bad(path, "skipped")
    for path in set(n+k)-set(rows): part.bad(path, "nobody gave it")
    for o in named:
        p = [float(v or "nan") for c, v in o.items() if c.startswith("p_")]
        if not (abs(sum(p)-1)<1e-3 and all(0<=x<=1 for x in p) and o["emotion"] and abs(float(o["resonance"] or "nan"))<=1): part.bad(o["path"], f"p {p}, resonance {o['resonance']}")
    for o in skipped:
        if not o["why"] or "\n" in o["why"]: part.bad(o["path"], f"why: {o['why']!r}")
    part.say.append(f"{len(named)} named, {len(skipped)} skipped, {len(restless)} of the files changing all the while")
    return part


class Restless:
    "Files that are cut, grow, go, come back and become others while somebody reads them"
    def __init__(self, folder, n, seed):
        self.folder, self.names, self.data, self.stop = folder, [f"restless {i}.{USUAL[i%6]}" for i in range(n)], [seed[USUAL[i%6]] for i in range(n)], threading.Event()
        for i in range(n): (folder/self.names[i]).write_bytes(self.data[i][0])

    def __enter__(self):
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        return self

    def work(self):
        rng = random.Random(3)
        while not self.stop.wait(.002):
            i = rng.randrange(len(self.names))
            p, (a, b, c) = self.folder/self.names[i], self.data[i]
            match rng.randrange(6):
                case 0: p.unlink(missing_ok=True)
                case 1 if p.exists(): os.truncate(p, rng.randrange(len(a)))
                case 2: p.open("ab").write(b)
                case 3: (q := p.with_suffix(".new")).write_bytes(rng.choice((a, b, c))); os.replace(q, p)
                case 4: p.write_bytes(rng.randbytes(3000))
                case _: p.write_bytes(rng.choice((a, b, c)))

    def __exit__(self, *_): self.stop.set(); self.thread.join()


def soak(quick=False, folder=None):
    "Yields a dict a part: part, cases, lost, note"
    with tempfile.TemporaryDirectory(prefix="soak audio ", ignore_cleanup_errors=True) as made:
        folder = Path(folder or made).resolve()
        paths = make(folder, quick)
        yield one_by_one(folder, paths).row()
        part, errors = check(folder, paths, 120 if quick else 900)
        yield part.row()
        yield embed(folder, paths, errors, 120 if quick else 900).row()
        with Restless(folder, 6 if quick else 30, seeds()) as restless: part = run(folder, paths, restless.names, 120 if quick else 900)
        yield part.row()


if __name__=="__main__":
    if "--alone" in sys.argv: alone(Path(sys.argv[2]))
    else:
        for row in soak("--quick" in sys.argv, sys.argv[sys.argv.index("--keep")+1] if "--keep" in sys.argv else None):
            print(f"{row['part']}: {row['cases']} cases, {row['lost']} lost. {row['note']}", flush=True)
