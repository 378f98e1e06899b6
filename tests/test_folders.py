"Folders that others made, moved or renamed: known by what is in them, or refused in one line"
import contextlib, json, os, shutil, threading, warnings
from pathlib import Path

import pytest
import torch
from conftest import make_corpus

import soak_folders
from sere_nb.cli import main


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and devices of Unix")
@pytest.mark.parametrize("kind", soak_folders.KINDS)
def test_changed_folders(tmp_path, kind):
    "60 of the thousands of `soak_folders.py`"
    row = soak_folders.watched(kind, tmp_path, 60).row()
    assert row["cases"]==60 and not row["lost"], row["note"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and devices of Unix")
@pytest.mark.parametrize("kind", ["cache", "bench", "shards"])
def test_no_file_of_a_folder_is_waited_for(tmp_path, kind):
    "Each in turn a pipe that nobody writes to or reads from, a device without end, a folder, a link to itself"
    if kind == "shards": pytest.importorskip("pyarrow")
    make, judge = (getattr(soak_folders, f"{o}_{kind}") for o in ("make", "judge"))
    make(tmp_path)
    good = tmp_path/"good"
    for file in sorted(o.relative_to(good) for o in good.rglob("*") if o.is_file()):
        for way in (os.mkfifo, os.mkdir, lambda o: os.symlink("/dev/zero", o), lambda o: os.symlink(o, o)):
            shutil.rmtree(tmp_path/"case", ignore_errors=True)
            shutil.copytree(good, tmp_path/"case")
            (tmp_path/"case"/file).unlink()
            way(tmp_path/"case"/file)
            def work():
                with warnings.catch_warnings(), contextlib.suppress(ValueError):
                    warnings.simplefilter("ignore")
                    judge(tmp_path/"case", good)
            t = threading.Thread(target=work, daemon=True)
            t.start()
            t.join(20)
            assert not t.is_alive(), file


def test_no_column_of_shards_is_there_twice(tmp_path):
    "Whichever it is, one line says so, and the job goes on by making the shard anew"
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from sere_nb import shards, stores
    from sere_nb.cluster import ClusterError, read_shards
    soak_folders.make_shards(tmp_path)
    name = "embeddings/00000.parquet"
    table = pq.read_table(tmp_path/"good"/name)
    meta = {k: v for k, v in table.schema.metadata.items() if k != shards._SEAL}
    for i, field in enumerate(table.schema):
        shards._write_parquet(stores._Folder(tmp_path/"good"), name, table.append_column(field, table[i]).replace_schema_metadata(meta))
        with pytest.raises(ClusterError) as e: read_shards(tmp_path/"good")
        assert f"its column '{field.name}' is there twice" in str(e.value) and "\n" not in str(e.value)


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    "A model that was made with an encoder given by a relative path; (folder, manifest to predict)"
    from transformers import Wav2Vec2Config, Wav2Vec2Model
    d = tmp_path_factory.mktemp("moved")
    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, vocab_size=12, conv_dim=(8,)*7, num_conv_pos_embeddings=8,
                                 num_conv_pos_embedding_groups=2)).save_pretrained(d/"models"/"mine")
    source, target = make_corpus(d, clips=3, language="aa", name="source.csv"), make_corpus(d, clips=2, language="bb", name="target.csv", f0=108)
    before = os.getcwd()
    os.chdir(d)
    try: assert main(["run", "--map", "pca", "--source", str(source), "--target", str(target), "--shots", "3", "--encoder", "models/mine+acoustic", "--cache", str(d/"cache"), "--out", str(d/"run"), "-q"])==0
    finally: os.chdir(before)
    return d, target


def test_an_encoder_is_found_by_what_the_model_remembers(moved, tmp_path, monkeypatch):
    d, target = moved
    about = json.loads((d/"run"/"model"/"encoder.json").read_text())
    assert {o["from_here"] for o in about["languages"].values()}=={"../../models/mine"} and str(d) not in json.dumps(about)
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "--model", str(d/"run"/"model"), "--manifest", str(target), "--cache", str(d/"cache"), "-o", str(tmp_path/"p.csv"), "-q"])==0


def test_a_renamed_encoder_is_accepted(moved, tmp_path, capsys):
    "By its content: the same answers; another model of that name is refused"
    d, target = moved
    argv = ["predict", "--model", str(d/"run"/"model"), "--manifest", str(target), "--cache", str(tmp_path/"cache"), "-q"]
    new = shutil.copytree(d/"models"/"mine", tmp_path/"yours")
    assert main([*argv, "-o", str(tmp_path/"a.csv"), "--encoder", f"{new}+acoustic"])==0
    assert main([*argv, "-o", str(tmp_path/"b.csv"), "--encoder", f"{d/'models'/'mine'}+acoustic"])==0
    assert (tmp_path/"a.csv").read_bytes()==(tmp_path/"b.csv").read_bytes()
    capsys.readouterr()
    from safetensors.torch import load_file, save_file
    other = shutil.copytree(d/"models"/"mine", tmp_path/"mine")
    weights = load_file(other/"model.safetensors")
    weights["encoder.layer_norm.bias"][0] += 1
    save_file(weights, other/"model.safetensors", metadata={"format": "pt"})
    assert main([*argv, "-o", str(tmp_path/"c.csv"), "--encoder", f"{other}+acoustic"])==2
    assert "not the encoder that" in (err := capsys.readouterr().err) and err.count("\n")==1


def test_no_home_and_no_name(tmp_path, monkeypatch, capsys):
    "As in many containers: HOME is not set, and nobody has the number of the user"
    pwd = pytest.importorskip("pwd")
    from sere_nb.cli import default_cache
    def nobody(uid): raise KeyError(uid)
    for o in ("HOME", "USER", "LOGNAME", "SERE_CACHE", "XDG_CACHE_HOME"): monkeypatch.delenv(o, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(RuntimeError): Path.home()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert default_cache()==tmp_path/f"sere_nb-{os.getuid()}"
    try: assert main(["--version"])==0
    except SystemExit as e: assert not e.code
    assert capsys.readouterr().out.strip()
    manifest = make_corpus(tmp_path, clips=1)
    assert main(["embed", "--manifest", str(manifest), "--encoder", "acoustic", "-q"])==0 and default_cache().is_dir()


def test_parameters_in_the_manner_of_scikit_learn():
    from sklearn.base import clone
    from sere_nb.learner import SERE, SETTINGS, LearnerError
    given = dict(seed=2, speakers=False, prior={"a": .5, "b": .5}, design={"x": (True, None)}, device="cpu", rounds=3, planned=(1., 2., 3.))
    s = SERE(**given)
    assert set(s.get_params())=={"seed", "speakers", "prior", "design", "device", *SETTINGS} and all(s.get_params()[k] is v for k, v in given.items())
    other = clone(s)
    assert other is not s and other.get_params()==s.get_params() and repr(other)==repr(s)
    assert s.set_params(rounds=5) is s and s.get_params()["rounds"]==5 and other.get_params()["rounds"]==3
    with pytest.raises(LearnerError): s.set_params(rounds=-1, dims=8)
    assert s.get_params()["dims"]==SETTINGS["dims"]
    assert SERE().set_params(**s.get_params()).get_params()==s.get_params()


def test_samples_and_course_are_in_the_wheel(tmp_path):
    "Where `pip install --user` or `--target` puts it, which is not where data files go"
    import subprocess, sys, zipfile
    root, copy = Path(__file__).resolve().parent.parent, tmp_path/"copy"
    for o in ("sere_nb", "data_samples", "nbs/_workshop"): shutil.copytree(root/o, copy/o, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for o in ("setup.py", "settings.ini", "pyproject.toml", "README.md", "LICENSE"): shutil.copy(root/o, copy)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", tmp_path, copy], check=True, capture_output=True)
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(tmp_path/"target")
    code = "from sere_nb.corpora import data_samples, read_manifest; from sere_nb.cli import main; print(len(read_manifest(data_samples()/'manifest.csv')), data_samples()); assert main(['workshop', 'course'])==0"
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ, PYTHONPATH=str(tmp_path/"target")), capture_output=True, text=True)
    assert not said.returncode, said.stderr
    assert str(tmp_path/"target"/"sere_nb"/"share"/"data_samples") in said.stdout and (tmp_path/"course"/"1_hear_emotion.ipynb").is_file()
