"""Nothing lost: no command writes over its input, nor over or away with a file that no earlier run of sere wrote, or that was changed since."""
import contextlib
import io
import json
import os
import shutil
import threading
from pathlib import Path

import pandas as pd
import pytest
from conftest import make_corpus, stub_voices
from hypothesis import given, strategies as st

from sere_nb import encoder, files
from sere_nb.cli import main
from sere_nb.learner import SERE

pytestmark = pytest.mark.skipif(os.name=="nt", reason="links and pipes as Unix has them")

RUN = "run --map pca --no-audio --shots-file shots.txt --labels words.csv -q --source aa.csv --target bb.csv"
COMMANDS = {    # what is typed; what it may write
    "run": (RUN+" --out out",
            ["out/predictions.csv", "out/metrics.json", "out/skipped.csv", "out/report.html",
             "out/model/model.safetensors", "out/model/model.json", "out/model/encoder.json"]),
    "predict": ("predict --model made --manifest bb.csv -q -o p.csv", ["p.csv", "p.skipped.csv"]),
    "bench": ("bench --protocol protocol.json --corpora . --encoder acoustic --methods nearest_prototype --clips -q --out b",
              ["b/results.csv", "b/bench.json", "b/summary.md", "b/heatmap.html", "b/clips/nearest_prototype.aa.bb.0.2.csv"]),
    "shards": ("shards --manifest bb.csv --model made --workers 0 -q --out s",
               ["s/about.json", "s/manifest.parquet", "s/embeddings/00000.parquet", "s/predictions/00000.parquet"]),
    "corpus": ("corpus emodb emo -o e.csv", ["e.csv"]),
    "manifest": ("manifest aa --language aa -o m.csv", ["m.csv"]),
    "check": ("check bb.csv --labels words.csv --fix -q -o c.csv", ["c.csv"]),
    "voices": ("voices aa.csv -q -o v.csv", ["v.csv"]),
    "segment": ("segment aa --language aa -q -o g.csv", ["g.csv"]),
    "audit": ("audit seen --target bb.csv --labels heard.csv --teach t.csv", ["seen/audit.csv", "seen/audit.json", "t.csv"]),
    "export tasks": ("export given.csv --manifest bb.csv --as labelstudio -o tasks.json", ["tasks.json", "tasks.xml"]),
    "export grids": ("export given.csv --manifest bb.csv --as textgrid -o grids", ["grids/Ann_anger_0.TextGrid"]),
    "export eafs": ("export given.csv --manifest bb.csv --as elan -o eafs", ["eafs/Ann_anger_0.eaf"]),
    "export base": ("export given.csv --manifest bb.csv --as audformat -o base", ["base/db.yaml", "base/db.emotion.csv"]),
    "export clips": ("export given.csv --manifest bb.csv --as datasets -o clips",
                     ["clips/metadata.csv", "clips/audio/000/000000-Ann_anger_0.wav"]),
}
INPUTS = {
    "run": ["aa.csv", "bb.csv", "shots.txt", "words.csv", "aa/Ann_fear_0.wav", "bb/Bob_anger_1.wav"],
    "predict": ["bb.csv", "bb/Bob_anger_1.wav", "made/model.json", "made/model.safetensors", "made/encoder.json"],
    "bench": ["protocol.json", "aa.csv", "bb.csv", "aa/Ann_fear_0.wav"],
    "shards": ["bb.csv", "bb/Bob_anger_1.wav", "made/model.json"],
    "corpus": ["emo/wav/03a01Fa.wav"],
    "manifest": ["aa/Ann_fear_0.wav"],
    "check": ["bb.csv", "words.csv", "bb/Bob_anger_1.wav"],
    "voices": ["aa.csv", "aa/Ann_fear_0.wav"],
    "segment": ["aa/Ann_fear_0.wav"],
    "audit": ["bb.csv", "heard.csv", "seen/predictions.csv", "bb/Bob_anger_1.wav"],
    "export grids": ["given.csv", "bb.csv", "bb/Ann_anger_0.wav"],
}
WAYS = [(c, o, way, own) for c, some in INPUTS.items() for o in some for way in ("link", "hard link", "link to its folder", "./x/../") for own in (False, True)
        if ("-o " in COMMANDS[c][0] and "/" not in COMMANDS[c][1][0] or "hard" in way or way=="link") and not (own and o.endswith(".wav"))]     # no sound is sere's
OUTPUTS = [(c, o) for c, (_, written) in COMMANDS.items() for o in written]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch): monkeypatch.setenv("SERE_CACHE", str(tmp_path_factory.mktemp("cache")))


def sere(line, folder):
    """(exit status, stderr less warnings) of a command typed in that folder."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(line.split())
    return status, "".join(o for o in err.getvalue().splitlines(keepends=True) if not o.startswith("sere: warning: "))


def content(folder): return {str(o.relative_to(folder)): o.read_bytes() for o in sorted(folder.rglob("*")) if o.is_file()}


def refused(line, folder, *says):
    """That a command ends in one line, before any clip is encoded, and leaves all as it was."""
    before = content(folder)
    status, err = sere(line, folder)
    assert status == 2 and err.startswith("sere: ") and err.count("\n") == 1 and all(o in err for o in says), err
    assert content(folder) == before
    assert not list(Path(os.environ["SERE_CACHE"]).rglob("*.safetensors"))


@pytest.fixture(scope="module", autouse=True)
def listener():
    with pytest.MonkeyPatch.context() as m: yield stub_voices(m)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """What commands read: manifests with their sound, a protocol, a corpus as it is unpacked, a model."""
    from sere_nb.evaluate import make_protocol
    d = tmp_path_factory.mktemp("inputs")
    for i, o in enumerate(("aa", "bb")): make_corpus(d, clips=2, language=o, name=f"{o}.csv", f0=100+8*i)
    said = pd.read_csv(d/"bb.csv").assign(p_anger=.8, p_fear=.2)
    said[["path", "emotion", "p_anger", "p_fear"]].to_csv(d/"given.csv", index=False)
    (d/"shots.txt").write_text("".join(f"aa/{who}_{e}_0.wav\n" for who in ("Ann", "Bob") for e in ("anger", "fear")))
    (d/"words.csv").write_text("from,to\nrage,anger\n")
    protocol = make_protocol(d, ["aa", "bb"], shots=2, seeds=[0])
    (d/"protocol.json").write_text(json.dumps({**protocol, "tasks": protocol["tasks"][:1]}))
    (d/"emo"/"wav").mkdir(parents=True)
    for i, o in enumerate(("03a01Fa.wav", "16b10Wb.wav")): shutil.copy(d/"aa"/f"Ann_fear_{i}.wav", d/"emo"/"wav"/o)
    os.environ["SERE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    assert sere(COMMANDS["run"][0].replace("--out out", "--out first"), d) == (0, "")
    shutil.move(d/"first"/"model", d/"made")
    (d/"seen").mkdir()
    shutil.copy(d/"first"/"predictions.csv", d/"seen")
    (d/"heard.csv").write_text("path,emotion\nbb/Bob_anger_0.wav,anger\nbb/Ann_fear_1.wav,fear\nbb/Bob_fear_0.wav,fear\n")
    shutil.rmtree(d/"first")
    return d


@pytest.fixture(scope="module")
def outputs(inputs, listener, tmp_path_factory):
    """The same and all that the commands have written."""
    d = shutil.copytree(inputs, tmp_path_factory.mktemp("outputs")/"d")
    os.environ["SERE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    for line, _ in COMMANDS.values(): assert sere(line, d) == (0, ""), line
    assert {o for _, o in OUTPUTS if not (d/o).exists()} == {"out/skipped.csv", "p.skipped.csv"}    # all could be used
    return d


@pytest.fixture
def fresh(inputs, tmp_path): return shutil.copytree(inputs, tmp_path/"d")


@pytest.fixture
def used(outputs, tmp_path): return shutil.copytree(outputs, tmp_path/"d")


# ---- each command, each of its outputs ----

@pytest.mark.parametrize("data", [b"mine\n", b"", b"\0\xff"*99], ids=["text", "nothing", "bytes"])
@pytest.mark.parametrize("command, output", OUTPUTS)
def test_what_was_there_stays(command, output, data, fresh):
    (fresh/output).parent.mkdir(parents=True, exist_ok=True)
    (fresh/output).write_bytes(data)
    refused(COMMANDS[command][0], fresh, Path(output).name if output!="s/about.json" else "s: ")


@pytest.mark.parametrize("command, output", OUTPUTS)
def test_what_was_changed_stays(command, output, used):
    if not (used/output).exists(): return
    if output.endswith(".parquet"): (used/output).write_bytes(b"mine")
    else: (used/output).write_bytes(mine := (used/output).read_bytes()+b"\n# my note\n")
    if output=="b/results.csv":     # is only ever added to
        assert sere(COMMANDS[command][0], used) == (0, "") and (used/output).read_bytes().startswith(mine)
    else: refused(COMMANDS[command][0], used, Path(output).name if output!="s/about.json" else "s: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_twice_is_fine(command, outputs, tmp_path):
    """In another place, too: the mark goes where its folder goes."""
    again = shutil.copytree(outputs, tmp_path/"elsewhere")
    for _ in range(2): assert sere(COMMANDS[command][0], again) == (0, "")
    dated = {"eafs/Ann_anger_0.eaf", "out/report.html", "b/results.csv", "b/summary.md", "b/heatmap.html"}    # hold the time, or a random name
    before, after = content(outputs), content(again)
    assert set(before) == set(after)
    for o in set(COMMANDS[command][1]) & set(before) - dated:
        if not o.endswith(".parquet"): assert before[o] == after[o], o


@pytest.mark.parametrize("command, read, way, own", WAYS)
def test_no_command_writes_to_what_it_reads(command, read, way, own, fresh):
    """Be it sere's own, from an earlier run, or not."""
    line, written = COMMANDS[command]
    if own: files._note(fresh/read, files._sha256(fresh/read))
    output = fresh/written[0]
    output.parent.mkdir(parents=True, exist_ok=True)
    folder, name = os.path.split(read)
    if way=="link": output.symlink_to(os.path.relpath(fresh/read, output.parent))
    elif way=="hard link": os.link(fresh/read, output)
    elif way=="link to its folder":
        (fresh/"way").symlink_to(fresh/folder)
        line = line.replace(f"-o {written[0]}", f"-o way/{name}")
    else: line = line.replace(f"-o {written[0]}", f"-o ./aa/../{folder or '.'}/./{name}")
    refused(line, fresh)
    if "-o" in line: refused(line.rpartition(" -o ")[0]+f" -o {fresh/read}", fresh)


def test_no_name_but_the_same(fresh):
    """A mark says nothing of another name."""
    files.write(fresh/"x.csv", "sere's")
    shutil.copy(fresh/"x.csv", fresh/"p.csv")
    refused(COMMANDS["predict"][0], fresh, "p.csv: is there already")


# ---- the cases that were found ----

def test_predictions_over_their_manifest_or_sound(fresh):
    refused("predict --model made --manifest bb.csv -q -o bb.csv", fresh, "bb.csv: this command reads that file", "-o FILE")
    refused("predict --model made --manifest bb.csv -q -o bb/Ann_fear_0.wav", fresh, "Ann_fear_0.wav: this command reads that file")


def test_a_run_into_a_folder_of_ones_own(fresh):
    t = pd.read_csv(fresh/"bb.csv").drop(columns="emotion")
    t.to_csv(fresh/"bb.csv", index=False)
    for name in ("metrics.json", "skipped.csv", "predictions.csv"):
        (fresh/name).write_text("mine")
        refused(RUN+" --out .", fresh, name, "--out DIR")
        (fresh/name).unlink()
    assert sere(RUN+" --out .", fresh) == (0, "")


def test_what_a_run_wrote_goes_when_it_is_out_of_date(used):
    assert (used/"out"/"metrics.json").exists()
    pd.read_csv(used/"bb.csv").drop(columns="emotion").to_csv(used/"bb.csv", index=False)
    assert sere(COMMANDS["run"][0], used) == (0, "") and not (used/"out"/"metrics.json").exists()


def test_an_encoder_is_no_place_for_a_model(fresh):
    """`model.safetensors` is also what encoders' weights are called."""
    (fresh/"enc"/"model").mkdir(parents=True)
    (fresh/"enc"/"model"/"model.safetensors").write_bytes(b"weights")
    refused(RUN+" --out enc", fresh, "enc/model/model.safetensors")
    with pytest.raises(files.LostError, match="model.safetensors"): SERE.load(fresh/"made").save(fresh/"enc"/"model")
    assert content(fresh/"enc") == {"model/model.safetensors": b"weights"}


def test_demo_and_workshop(fresh, monkeypatch):
    monkeypatch.setattr("sere_nb.corpora.data_samples", lambda: fresh)
    for a, b in (("aa", "de"), ("bb", "it")): shutil.copy(fresh/f"{a}.csv", fresh/f"{b}.csv")
    (fresh/"sere-demo").mkdir()
    for name in ("report.html", "skipped.csv"):
        (fresh/"sere-demo"/name).write_text("mine")
        refused("demo -q", fresh, name)
        (fresh/"sere-demo"/name).unlink()
    (fresh/"course").mkdir()
    (fresh/"course"/"1_hear_emotion.ipynb").write_text("mine")
    for _ in range(2): assert sere("workshop course", fresh) == (0, "")
    assert (fresh/"course"/"1_hear_emotion.ipynb").read_text() == "mine" and len(list((fresh/"course").glob("*.ipynb"))) == 6


# ---- a command that is refused ----

def missing(d): (d/"bb.csv").unlink()
def empty(d): (d/"bb.csv").write_text("path,language\n")
def silent(d): [o.write_bytes(b"") for o in d.glob("[ab][ab]/*.wav")]
def gone(d): [o.unlink() for o in d.glob("[ab][ab]/*.wav")]
def bare(d): [shutil.rmtree(d/o) for o in ("aa", "emo", "made")]
def no_file(d): (d/"up").write_text("mine")
def as_it_is(d): pass


def typed(*more): return lambda line: " ".join([line, *more])


WRONG = {   # what is done to the inputs; what is done to the line
    "no such list": (missing, str), "a list without rows": (empty, str), "empty recordings": (silent, str), "no recordings": (gone, str), "no folder, no model": (bare, str),
    "an unknown option": (as_it_is, typed("--nonsense")), "an unknown column": (as_it_is, typed("--column speaker=nobody")), "an encoder that is not there": (as_it_is, typed("--encoder ./no/encoder")),
    "an encoder for a language": (as_it_is, typed("--encoder-for bb=./no")), "a list of labels that is not there": (as_it_is, lambda o: o.replace("words.csv", "no.csv")),
    "no such protocol": (as_it_is, lambda o: o.replace("protocol.json", "no.json")), "no such model": (as_it_is, lambda o: o.replace("made", "no")),
    "a folder that is a file": (no_file, lambda o: o.replace("new/deep", "up")), "no such shots": (as_it_is, lambda o: o.replace("shots.txt", "no.txt")),
    "no such predictions": (as_it_is, lambda o: o.replace("given.csv", "no.csv").replace("seen", "no")), "no such method": (as_it_is, lambda o: o.replace("nearest_prototype", "guess")),
}
LINES = {k: o for k, (o, _) in COMMANDS.items()} | {
    "embed": "embed --manifest bb.csv --encoder acoustic -q --cache c", "demo": "demo -q --out d", "workshop": "workshop w", "corpus that is none": "corpus none emo -o e.csv"}


def everything(folder): return {str(o.relative_to(folder)): o.is_dir() or o.read_bytes() for o in folder.rglob("*")}


@pytest.mark.parametrize("command", LINES)
def test_a_command_that_is_refused_leaves_nothing_that_was_not_there(command, inputs, tmp_path, monkeypatch):
    """No folder either; and a folder that the user made stays."""
    line, _, out = LINES[command].rpartition(" ")
    always = WRONG if command not in ("demo", "workshop") else {k: WRONG[k] for k in ("an unknown option", "a folder that is a file")}
    n, many = 0, 8
    for name, (spoil, change) in always.items():
        for place in ("new/deep", "mine", "mine/deeper"):
            d = shutil.copytree(inputs, tmp_path/f"{n}")
            n += 1
            (d/"mine").mkdir()
            spoil(d)
            monkeypatch.setenv("SERE_CACHE", str(d/"cache"))
            before = everything(d)
            new = change(f"{line} {place}/{out}".replace("--teach t.csv", f"--teach {place}/t.csv"))
            with contextlib.suppress(SystemExit): status = sere(new, d)[0]
            assert status!=1
            if command=="check" and status==2 and (d/place/out).exists(): status = 0     # it writes the list, and then says what is wrong with the recordings
            if status: assert {k: v for k, v in everything(d).items() if not k.startswith("cache/") and k!="cache"} == before, (name, new)
            shutil.rmtree(d)
            many -= bool(status)
    assert many <= 0 or command in ("demo", "workshop", "manifest", "segment", "corpus")


def test_check_and_embed_write_nothing_but_the_cache(used):
    before = content(used)
    assert sere("check e.csv -q", used)[0] == 0 and sere("embed --manifest bb.csv --encoder acoustic -q", used) == (0, "")
    assert content(used) == before
    assert sere("embed --manifest bb.csv --encoder acoustic --cache . -q", used) == (0, "")
    assert {o: data for o, data in content(used).items() if o in before} == before


# ---- the mark ----

def test_marks_that_are_missing_or_damaged(used):
    mark = used/files.MARK
    for make in (mark.unlink, lambda: mark.write_bytes(b""), lambda: mark.write_bytes(files._HEAD+b"[5]\n{\"file\": [5], \"sha256\": [5]}\n\xff\n"+b"["*9999)):
        make()
        refused(COMMANDS["corpus"][0], used, "e.csv: is there already", "move it away", "-o FILE")
    for make in (lambda: mark.write_bytes(b"mine"), lambda: (mark.unlink(), mark.mkdir()), lambda: (mark.rmdir(), os.mkfifo(mark))):
        make()
        refused(COMMANDS["corpus"][0], used, files.MARK)
        refused(COMMANDS["corpus"][0].replace("e.csv", "new.csv"), used, files.MARK)


def test_stopped_between_mark_and_file(used, monkeypatch):
    """Whoever stops a run may go on."""
    pd.read_csv(used/"bb.csv").head(6).to_csv(used/"bb.csv", index=False)
    def stopped(*a): raise KeyboardInterrupt
    with monkeypatch.context() as m:
        m.setattr(os, "replace", stopped)
        with pytest.raises(KeyboardInterrupt): files.write(used/"p.csv", "new")
    assert sere(COMMANDS["predict"][0], used) == (0, "") and len(pd.read_csv(used/"p.csv")) == 6


def test_edited_while_the_command_works(used, monkeypatch):
    embed = encoder.embed
    def slow(*a, **k):
        (used/"p.csv").write_text("mine")
        return embed(*a, **k)
    monkeypatch.setattr(encoder, "embed", slow)
    status, err = sere(COMMANDS["predict"][0], used)
    assert status == 2 and "p.csv: has been changed" in err and (used/"p.csv").read_text() == "mine"


def test_many_write_to_one_folder(tmp_path):
    def work(i):
        for k in range(20):
            files.write(tmp_path/f"{i}-{k%5}.txt", f"{k}")
            files.write(tmp_path/"shared.txt", "the same")
    crowd = [threading.Thread(target=work, args=[i]) for i in range(4)]
    for o in crowd: o.start()
    for o in crowd: o.join()
    every = [tmp_path/f"{i}-{k}.txt" for i in range(4) for k in range(5)]
    files.replaceable([*every, tmp_path/"shared.txt"])
    assert [o.read_text() for o in every] == [f"{15+k}" for i in range(4) for k in range(5)]


NAMES = st.sampled_from(["a", "b", "á\n\"x", "link"])
STEPS = st.lists(st.one_of(
    st.tuples(st.just("sere"), NAMES, st.integers(0, 3)), st.tuples(st.just("remove"), NAMES), st.tuples(st.just("edit"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("copy"), NAMES, NAMES), st.tuples(st.just("drop"), NAMES), st.tuples(st.just("tear"), st.integers(0, 200))), max_size=12)


@given(STEPS)
def test_whatever_happens_no_word_of_the_user_is_lost(tmp_path_factory, steps):
    d = tmp_path_factory.mktemp("d")
    (d/"link").symlink_to("a")
    mine = {}   # what the user put last under a real name
    for what, *how in steps:
        if what=="tear":
            if (d/files.MARK).exists(): os.truncate(d/files.MARK, min(how[0]+len(files._HEAD), (d/files.MARK).stat().st_size))
            continue
        file = (d/how[0]).resolve()
        if what in ("sere", "remove"):
            with contextlib.suppress(files.LostError):
                files.write(d/how[0], f"sere {how[1]}") if what=="sere" else files.remove(d/how[0])
        elif what=="edit": file.write_text(text := f"mine {how[1]}"); mine[file] = text
        elif what=="drop": file.unlink(missing_ok=True); mine.pop(file, None)
        elif file.exists() and (to := (d/how[1]).resolve())!=file:
            shutil.copy(file, to)
            mine.pop(to, None)
            if file in mine: mine[to] = mine[file]
        for o, text in mine.items(): assert o.read_text()==text, steps


def test_a_mark_on_a_full_disk(tmp_path, monkeypatch):
    """A line that was torn is none; the file that it was for is not written, and all goes on with room again."""
    files.write(tmp_path/"a.csv", "one")
    whole = (tmp_path/files.MARK).read_bytes()
    real = open
    class Full:
        def __init__(self, f): self.f = f
        def __enter__(self): return self
        def __exit__(self, *a): self.f.close()
        def write(self, data): return self.f.write(data[:20])
    with monkeypatch.context() as m:
        m.setattr("builtins.open", lambda f, mode="r", *a, **k: Full(real(f, mode, *a, **k)) if mode=="ab" else real(f, mode, *a, **k))
        for name in ("a.csv", "new/b.csv"):
            with pytest.raises(OSError, match="No space left"): files.write(tmp_path/name, "two")
    assert (tmp_path/"a.csv").read_text() == "one" and not (tmp_path/"new"/"b.csv").exists() and (tmp_path/files.MARK).read_bytes().startswith(whole)
    for name in ("a.csv", "new/b.csv"):
        for text in ("two", "three"): files.write(tmp_path/name, text)
    assert sorted(o.name for o in tmp_path.rglob("*") if o.is_file()) == [files.MARK, files.MARK, "a.csv", "b.csv"]
