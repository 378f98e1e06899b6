"""Files, models and names from strangers; what is kept from others. The quick part of `soak_trust.py`, which has thousands of cases, and single promises"""
import json, pickle, re

import numpy as np, pytest
from conftest import make_corpus

import soak_trust
from sere_nb.cli import main
from sere_nb import rounds
from sere_nb.corpora import read_manifest
from sere_nb.encoder import embed
from sere_nb.learner import SERE, LearnerError


def kept(row, cases):
    assert row["cases"]>=cases and not row["lost"], row["note"]


def test_the_library_has_no_way_to_run_what_a_file_holds(): kept(soak_trust.source().row(), 12)
def test_saved_models(tmp_path): kept(soak_trust.saved_models(tmp_path, True).row(), 48)
def test_encoders(tmp_path): kept(soak_trust.encoders(tmp_path, True).row(), 25)
def test_manifests(tmp_path): kept(soak_trust.manifests(tmp_path, True).row(), 40)
def test_nobody_is_asked_for_anything(tmp_path): kept(soak_trust.network(tmp_path, True).row(), 1)


def test_a_report_with_hostile_names(tmp_path):
    row = soak_trust.browsed(tmp_path, True).row()
    kept(row, 0)
    if not row["cases"]: pytest.skip(row["note"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    d = tmp_path_factory.mktemp("pair")
    return d, make_corpus(d, clips=3, language="aa", name="source.csv"), make_corpus(d, clips=2, language="bb", name="target.csv", f0=108)


@pytest.fixture(scope="module")
def silent(pair):
    "A run whose report has no sound"
    d, source, target = pair
    assert main(["run", "--map", "pca", "--source", str(source), "--target", str(target), "--shots", "3", "--cache", str(d/"cache"), "--out", str(d/"silent"), "-q", "--no-audio"])==0
    return d/"silent"


def holds(page): return re.findall(r"This page holds [^<]*", page)


def test_reports_say_what_they_hold(pair, silent, capsys):
    d, source, target = pair
    page = (silent/"report.html").read_text(encoding="utf-8")
    assert json.loads(re.search(r'id="sounds">(.*?)</script>', page)[1])=={} and "base64,//" not in page
    assert holds(page)==["This page holds no sound, and the paths, languages, speakers and labels of 20. Whoever is given it has them."]
    plain = target.with_name("plain.csv")
    plain.write_text("path,language\n"+"".join(",".join(o.split(",")[:2])+"\n" for o in target.read_text().splitlines()[1:]))
    assert main(["run", "--map", "pca", "--source", str(source), "--target", str(plain), "--shots", "3", "--cache", str(d/"cache"), "--out", str(d/"plain"), "-q"])==0
    page = (d/"plain"/"report.html").read_text(encoding="utf-8")
    assert len(json.loads(re.search(r'id="sounds">(.*?)</script>', page)[1]))==20
    assert holds(page)==["This page holds the sound of 20 clips, and the paths, languages and speakers of 20. Whoever is given it has them."]
    assert main(["run", "--source", "s.csv", "--target", "t.csv", "--out", "o", "--no-audio", "--audio-mb", "3"])==2 and "not allowed with" in capsys.readouterr().err


def test_a_seal_knows_torn_saves(silent, tmp_path):
    "Tensors of one save with the words of another: what a stop between the two files leaves"
    s = SERE.load(silent/"model")
    one = s.save(tmp_path/"one")
    s.structure.mean *= 1.5
    other = s.save(tmp_path/"other")
    (one/"model.safetensors").write_bytes((other/"model.safetensors").read_bytes())
    with pytest.raises(LearnerError, match="not as they were saved"): SERE.load(one)
    SERE.load(other)


@pytest.mark.parametrize("part", ("offset", "groups", "said", "families"))
def test_a_model_with_very_many_of_one_part(silent, tmp_path, part):
    "With a seal that is right: read, or refused in one line before the rest is looked at"
    torch, keys = pytest.importorskip("torch"), [f"k{i}" for i in range(20_000)]
    from safetensors.torch import load_file, save_file
    from sere_nb import saved
    at = SERE.load(silent/"model").save(tmp_path/"m")
    meta, tensors = json.loads((at/"model.json").read_text()), load_file(at/"model.safetensors")
    V, K, D = len(meta["views"]), len(meta["classes"]), meta["settings"]["dims"]
    names, had = meta["names"], len(meta["names"]["offset"])
    if part=="offset":
        names["offset"] += keys
        tensors |= {f"offset/{had+i}/0": torch.zeros(K) for i in range(len(keys))}
    elif part=="groups":
        meta["groups"], names["effects"] = {"voices": keys}, ["voices"]
        tensors = {k: o for k, o in tensors.items() if not k.startswith("effects/")} | {"effects/0/0": torch.zeros(V, len(keys), D)}
    elif part=="said":
        meta["said"], names["said"], names["same"] = dict.fromkeys(keys, "acoustic"), keys, keys[::-1]
        tensors |= {f"{o}/{i}/{j}": torch.zeros(*shape) for i in range(len(keys)) for o, j, shape in (("said", 0, (1,)), ("said", 1, (1, 60)), ("same", 0, (1, 60)))}
    else: names |= {f"said_by/{k}": [] for k in keys}
    save_file(tensors, at/"model.safetensors")
    meta["seal"] = saved._seal(meta, at/"model.safetensors")
    (at/"model.json").write_text(json.dumps(meta))
    if part in ("offset", "groups"): assert SERE.load(at).offset_
    else:
        with pytest.raises(LearnerError) as e: SERE.load(at)
        assert "\n" not in str(e.value) and "KeyError" not in str(e.value)


@pytest.mark.parametrize("setting, value", [(k, o) for k, some in rounds._BOUNDS.items() for o in some]+[("contents", []), ("softness", [1e-6]*3), ("planned", [0.]*3)])
def test_a_setting_at_its_bounds(pair, silent, tmp_path, setting, value):
    "With a seal that is right, and in a model that was made otherwise: an answer, or one line"
    from sere_nb import saved
    at = SERE.load(silent/"model").save(tmp_path/"m")
    meta = json.loads((at/"model.json").read_text())
    meta["settings"][setting] = value
    meta["seal"] = saved._seal(meta, at/"model.safetensors")
    (at/"model.json").write_text(json.dumps(meta))
    clips = embed(read_manifest(pair[2]), "acoustic", pair[0]/"cache", False)
    try:
        s = SERE.load(at)
        p, h, r = s.predict_proba(clips), s.highlights(clips), s.resonance(clips[:1])
    except LearnerError as e: assert "\n" not in str(e)
    else: assert np.isfinite(p).all() and np.isfinite(h).all().all() and np.isfinite(r[0]["r"]).all()


def test_a_model_does_not_send_for_its_encoder(pair, silent, tmp_path, capsys, monkeypatch):
    "The name of a hub model within a model is not enough to go online: who predicts must say it"
    import huggingface_hub
    import shutil
    asked = []
    def nobody(name, local_files_only=False, **kw):
        asked.append((name, local_files_only))
        raise ConnectionError("no network")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", nobody)
    model = shutil.copytree(silent/"model", tmp_path/"model")
    about = json.loads((model/"encoder.json").read_text())
    for o in about["languages"].values(): o["encoder"] = "someone/model"
    (model/"encoder.json").write_text(json.dumps(about))
    argv = ["predict", "--model", str(model), "--manifest", str(pair[2]), "--out", str(tmp_path/"p.csv"), "-q"]
    assert main(argv)==2 and asked==[("someone/model", True)]
    err = capsys.readouterr().err
    assert err.count("\n")==1 and "no copy of that model" in err and "--encoder" in err
    assert main([*argv, "--encoder", "someone/model"])==2 and asked[-1]==("someone/model", False)


def test_the_malicious_pickle_does_run_where_it_is_opened(tmp_path):
    "Else the tests above would prove nothing"
    soak_trust._listen()
    heard = []
    soak_trust._PICKLES.append(heard)
    pickle.loads(pickle.dumps(soak_trust.Touch(tmp_path/"x"))).close()
    soak_trust._PICKLES.remove(heard)
    assert (tmp_path/"x").exists() and heard


# ---- what the project leans on ----

@pytest.fixture(scope="module")
def supply():
    import importlib.util
    spec = importlib.util.spec_from_file_location("supply", soak_trust.HERE.parent/".ci"/"supply.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_requirement_has_a_reason(supply):
    table, required = supply.TABLE.read_text(encoding="utf-8"), supply.requirements()
    assert {"run", "dev", "cluster"}<=set(required) and not [*supply.unreasoned(required, table)]
    row = next(o for o in table.splitlines() if o.startswith("| `scipy`"))
    assert "scipy: in settings.ini (run)" in "".join(supply.unreasoned(required, table.replace(row, "")))
    assert "scipy: in settings.ini (run)" in "".join(supply.unreasoned(required, table.replace(row, "| `scipy` | | BSD |")))
    assert "left_pad: in" in "".join(supply.unreasoned(required, table+"\n| `left_pad` | once | MIT |\n"))


def test_versions_with_and_without_hashes_agree(supply):
    constraints, lock = supply.CONSTRAINTS.read_text(encoding="utf-8"), supply.LOCK.read_text(encoding="utf-8")
    assert len(supply.pins(lock))>100 and not [*supply.differing(constraints, lock)]
    line = next(o for o in lock.splitlines() if o.startswith("tqdm=="))
    for other, says in (lock.replace(line, line.replace("tqdm==", "tqdm==9")), "tqdm: "), (lock.replace(line, ""), "nothing in requirements.lock"), (lock+"x==1 --hash=sha256:0\n", "x: nothing in constraints"), (lock.replace(line, line.partition(" ")[0]), "tqdm: no hash"):
        assert says in "".join(supply.differing(constraints, other))


def test_licences(supply):
    found = supply.closure(supply.requirements()["run"])
    assert {"torch", "numpy", "jupyterlab", "filelock"}<=set(found) and "pytest-cov" not in found
    refused = {k: supply.licence(k, d) for k, d in found.items() if not supply.may(supply.licence(k, d))}
    assert not refused
    for text in ("GPL-3.0-only", "GNU General Public License v3 (GPLv3)", "MIT AND AGPL-3.0", "Other/Proprietary License", "", "CC-BY-NC-4.0"): assert not supply.may(text), text
    for text in ("MIT", "BSD License", "Apache-2.0 OR GPL-2.0", "BSD-3-Clause AND Zlib", "MIT License; BSD License"): assert supply.may(text), text


def test_no_database_is_no_failure(supply, monkeypatch):
    monkeypatch.setattr(supply.shutil, "which", lambda name: None)
    assert supply.audit()==([], "Known holes were not looked up: pip-audit is not installed.")
    monkeypatch.setattr(supply.shutil, "which", lambda name: name)
    class Said: stdout, stderr = "", "a\nConnectionError: no route to host\n"
    monkeypatch.setattr(supply.subprocess, "run", lambda *a, **k: Said)
    assert supply.audit()==([], "Known holes were not looked up: ConnectionError: no route to host")
    Said.stdout = json.dumps(dict(dependencies=[dict(name="z", skip_reason="not found on PyPI")]))
    assert supply.audit()==([], "Known holes were not looked up, for none of 1 packages: not found on PyPI")
    Said.stdout = json.dumps(dict(dependencies=[dict(name="z", skip_reason="not found on PyPI"), dict(name="x", version="1", vulns=[dict(id="CVE-1", fix_versions=["2"])]), dict(name="y", version="1", vulns=[])]))
    holes, word = supply.audit()
    assert holes==["x 1: CVE-1, mended in 2"] and "2 of 3 packages looked up" in word
