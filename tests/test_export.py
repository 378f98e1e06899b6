"""Predictions in the form of other programs, read back by their own libraries."""
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from sere_nb.audio import SR, toy_voice
from sere_nb.cli import main
from sere_nb.export import FORMS, export_predictions, read_predictions

ROWS = """path,start_s,end_s,channel,emotion,p_anger,p_sadness,heard
radio/talk.wav,0.5,2,,anger,0.9,0.1,louder
radio/talk.wav,1.5,3,,sadness,0.2,0.8,
radio/talk.wav,3,4.25,,,0.5,0.5,
call.wav,0,,2,anger,0.75,0.25,
"""
FILES = """path,emotion,p_anger,p_sadness
radio/talk.wav,anger,0.9,0.1
call.wav,,0.5,0.5
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path/"in"/"radio").mkdir(parents=True)
    talk = toy_voice(6.).numpy()
    sf.write(tmp_path/"in"/"radio"/"talk.wav", talk, SR)
    sf.write(tmp_path/"in"/"call.wav", np.stack([talk[:SR*2]*0, talk[:SR*2]], 1), SR)
    (tmp_path/"in"/"cut.csv").write_text(ROWS)
    (tmp_path/"in"/"whole.csv").write_text(FILES)
    (tmp_path/"in"/"list.csv").write_text("".join(f"{o}\n" for o in (
        "path,language,speaker,start_s,end_s,channel", "radio/talk.wav,hu,v1,.5,2,", "radio/talk.wav,hu,v2,1.5,3,",
        "radio/talk.wav,hu,v1,3,4.25,", "call.wav,hu,v3,,,2")))
    return tmp_path


def export(place, form, name="cut.csv", out="out", manifest="list.csv"):
    words = ["export", str(place/"in"/name), "--as", form, "-o", str(place/out)]
    return main(words+(["--manifest", str(place/"in"/manifest)] if manifest else []))


def test_textgrid(place):
    """What overlaps goes to a second tier; the grid is as long as the recording."""
    textgrid = pytest.importorskip("praatio.textgrid")
    assert export(place, "textgrid") == 0
    grid = textgrid.openTextgrid(str(place/"out"/"radio"/"talk.TextGrid"), False)
    assert grid.maxTimestamp == 6 and grid.tierNames == ("emotion", "emotion 2", "speaker", "speaker 2")
    spans = {o: [tuple(e) for e in grid.getTier(o).entries] for o in grid.tierNames}
    assert spans == {"emotion": [(.5, 2, "anger")], "emotion 2": [(1.5, 3, "sadness")],
                     "speaker": [(.5, 2, "v1"), (3, 4.25, "v1")], "speaker 2": [(1.5, 3, "v2")]}
    call = textgrid.openTextgrid(str(place/"out"/"call.TextGrid"), False)
    assert [tuple(e) for e in call.getTier("emotion (channel 2)").entries] == [(0, 2, "anger")] and len(call.tierNames) == 2


def test_elan(place):
    pympi = pytest.importorskip("pympi")
    for _ in range(2):
        assert export(place, "elan") == 0
    eaf = pympi.Eaf(str(place/"out"/"radio"/"talk.eaf"))
    assert [o[:3] for o in eaf.get_annotation_data_for_tier("emotion")] == [(500, 2000, "anger")]
    assert [o[:3] for o in eaf.get_annotation_data_for_tier("speaker 2")] == [(1500, 3000, "v2")]
    linked = eaf.get_linked_files()[0]
    assert linked["RELATIVE_MEDIA_URL"] == "../../in/radio/talk.wav" and linked["MIME_TYPE"] == "audio/x-wav"
    assert sorted(o.name for o in (place/"out").rglob("*") if o.is_file() and o.name[0] != ".") == ["call.eaf", "talk.eaf"]


@pytest.mark.filterwarnings("ignore")
def test_audformat(place):
    audformat = pytest.importorskip("audformat")
    table = read_predictions(place/"in"/"cut.csv").iloc[:3]
    export_predictions(table, "audformat", place/"out")
    db = audformat.Database.load(str(place/"out"))
    df = db["emotion"].df
    assert list(df.emotion.astype(object).fillna("")) == ["anger", "sadness", ""] and list(df.p_sadness) == [.1, .8, .5]
    assert list(df.index.get_level_values("file")) == ["radio/talk.wav"]*3
    assert df.index.get_level_values("end")[2] == pd.Timedelta("4.25s")
    assert export(place, "audformat", "whole.csv", "whole", None) == 0
    files = audformat.Database.load(str(place/"whole"))["emotion"].df
    assert list(files.index) == ["radio/talk.wav", "call.wav"] and files.sure.iloc[0] == .9


def test_labelstudio(place):
    """Stretches are regions of their recording, whole files choices."""
    assert export(place, "labelstudio", out="t.json") == 0
    talk, call = json.loads((place/"t.json").read_text())
    assert talk["data"]["audio"] == "/data/local-files/?d=radio/talk.wav"
    assert [o["value"] for o in talk["predictions"][0]["result"]] == [
        dict(start=.5, end=2, channel=0, labels=["anger"]), dict(start=1.5, end=3, channel=0, labels=["sadness"])]
    assert call["predictions"][0]["result"][0]["value"]["channel"] == 1
    assert '<Label value="anger"/>' in (place/"t.xml").read_text()
    assert export(place, "labelstudio", "whole.csv", "w.json", None) == 0
    one, two = json.loads((place/"w.json").read_text())
    assert one["predictions"][0]["result"][0]["value"] == dict(choices=["anger"]) and not two["predictions"][0]["result"]
    assert "<Choices" in (place/"w.xml").read_text()


def test_datasets(place, capsys):
    assert export(place, "datasets") == 0
    assert "load_dataset('audiofolder'" in (out := capsys.readouterr().out) and "pip install 'datasets[audio]'" in out
    about = pd.read_csv(place/"out"/"metadata.csv", keep_default_na=False)
    assert list(about.emotion) == ["anger", "sadness", "", "anger"] and list(about.speaker) == ["v1", "v2", "v1", "v3"]
    assert [round(sf.info(place/"out"/o).duration, 2) for o in about.file_name] == [1.5, 1.5, 1.25, 2.]
    assert np.abs(sf.read(place/"out"/about.file_name[3])[0]).max() > .1     # the second channel is the one that speaks
    datasets = pytest.importorskip("datasets")
    builder = datasets.load_dataset_builder("audiofolder", data_dir=str(place/"out"), cache_dir=str(place/"cache"))
    split = builder._split_generators(datasets.StreamingDownloadManager())[0]    # it reads all but the sound itself
    told = [o for _, o in builder._generate_examples(**split.gen_kwargs)]
    assert [o["emotion"] for o in told] == ["anger", "sadness", None, "anger"]
    table = datasets.load_dataset("csv", data_files=str(place/"out"/"metadata.csv"), cache_dir=str(place/"cache"))["train"]
    assert len(table) == 4 and table["emotion"][0] == "anger"       # this needs no decoder
    assert all(o["audio"].endswith(name) for o, name in zip(told, about.file_name))


NAMES = ["test-1", "dev", "train 3", "valid.4", "my eval-5", "validation", "0001-test", "testing_2", "evaluation", "val7", "latest", "TEST", "größe", "a.test.b", "plain"]


def test_names_of_recordings_make_no_parts_of_a_dataset(tmp_path):
    """`datasets` makes a test set of what is called test; what is called otherwise would be lost, and every label."""
    for o in NAMES: sf.write(tmp_path/f"{o}.wav", toy_voice(.3).numpy(), SR)
    rows = "".join(f"{o}.wav,anger,.9,.1\n" for o in NAMES)
    (tmp_path/"p.csv").write_text(f"path,emotion,p_anger,p_fear\n{rows}")
    assert main(["export", str(tmp_path/"p.csv"), "--as", "datasets", "-o", str(tmp_path/"out")]) == 0
    about = pd.read_csv(tmp_path/"out"/"metadata.csv")
    assert list(about["clip"]) == [f"{o}.wav" for o in NAMES] and all((tmp_path/"out"/o).is_file() for o in about.file_name)
    files = pytest.importorskip("datasets.data_files")
    assert files.get_data_patterns(str(tmp_path/"out")) == files.DEFAULT_PATTERNS_ALL
    (tmp_path/"out"/"audio"/"000"/"000099-test-1.wav").touch()      # else this proves nothing
    assert files.get_data_patterns(str(tmp_path/"out")) != files.DEFAULT_PATTERNS_ALL


def test_datasets_as_it_is_used(place):
    datasets = pytest.importorskip("datasets")
    pytest.importorskip("torchcodec")
    assert export(place, "datasets") == 0
    told = datasets.load_dataset("audiofolder", data_dir=str(place/"out"), cache_dir=str(place/"cache"))["train"]
    assert len(told) == 4 and told["emotion"][0] == "anger"


@pytest.mark.parametrize("name", ["cut.csv", "whole.csv"])
@pytest.mark.parametrize("full", [OSError(28, "No space left on device"), sf.LibsndfileError(2)])
def test_a_full_disk_is_said_to_be_full(place, name, full, monkeypatch, capsys):
    """Not that recordings are missing; nor is it a mistake of the program. What is there stays."""
    how = dict(name=name, manifest="list.csv" if name == "cut.csv" else None)
    assert export(place, "datasets", **how) == 0
    before = {o: o.read_bytes() for o in (place/"out").rglob("*") if o.is_file()}
    capsys.readouterr()
    def fails(*a, **k): raise full
    monkeypatch.setattr("soundfile.write", fails)
    if isinstance(full, OSError): monkeypatch.setattr("shutil.copyfile", fails)
    elif name == "whole.csv": return
    assert export(place, "datasets", **how) == 2
    says(capsys, "/out/audio/000/", "cannot be written", "space left", "What is there already stays.")
    assert {o: o.read_bytes() for o in (place/"out").rglob("*") if o.is_file()} == before


@pytest.mark.parametrize("sep, decimal, mark", [(";", ",", True), (";", ".", True), (";", ",", False), ("\t", ",", False), (",", ".", True)])
def test_predictions_that_a_spreadsheet_saved(place, sep, decimal, mark):
    was = read_predictions(place/"in"/"cut.csv")
    rows = [line.split(",") for line in ROWS.splitlines()]
    text = "\r\n".join(sep.join([row[0], *(o.replace(".", decimal) for o in row[1:3]), *row[3:5], *(o if i == 0 else o.replace(".", decimal) for o in row[5:7]), row[7]])
                       for i, row in enumerate(rows))
    (place/"in"/"cut.csv").write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
    pd.testing.assert_frame_equal(read_predictions(place/"in"/"cut.csv"), was)


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_is_said_in_one_line(place, form, monkeypatch, capsys):
    if form in ("textgrid", "elan", "audformat"):
        pytest.importorskip(dict(textgrid="praatio", elan="pympi", audformat="audformat")[form])
    def full(*a, **k): raise OSError(28, "No space left on device")
    monkeypatch.setattr("sere_nb.files._note", full)
    assert export(place, form, "whole.csv", "o.json" if form == "labelstudio" else "out", None) == 2
    says(capsys, str(place/"o"), "cannot be written (No space left on device)", "-o OUT")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("word", ["surprise", "ANGER", "ärger, very; \"much\""])
def test_labels_that_somebody_mended(place, form, word):
    """Predictions are there to be mended: a word that the model does not know goes out as it is."""
    if form in ("textgrid", "elan", "audformat"):
        pytest.importorskip(dict(textgrid="praatio", elan="pympi", audformat="audformat")[form])
    t = pd.read_csv(place/"in"/"cut.csv", keep_default_na=False, dtype=str)
    t.loc[0, "emotion"] = word
    t.to_csv(place/"in"/"cut.csv", index=False)
    out = "o.json" if form == "labelstudio" else "out"
    assert export(place, form, out=out) == 0
    written = place/out if form == "labelstudio" else place/"out"/dict(textgrid="radio/talk.TextGrid", elan="radio/talk.eaf", audformat="db.emotion.csv", datasets="metadata.csv")[form]
    assert word.split(";")[0] in written.read_text(encoding="utf-8")
    if form == "labelstudio": assert word.split(";")[0] in (place/"o.xml").read_text(encoding="utf-8")
    if form == "audformat":
        import audformat
        db = audformat.Database.load(place/"out")
        assert word in db.schemes["emotion"].labels and word in set(db["emotion"].df.emotion.astype(str))


@pytest.mark.parametrize("form", FORMS)
def test_others_files_stay(place, form):
    out = place/("out.json" if form == "labelstudio" else "out")
    if form in ("textgrid", "elan", "audformat"):
        pytest.importorskip(dict(textgrid="praatio", elan="pympi", audformat="audformat")[form])
    table = read_predictions(place/"in"/"whole.csv")
    written = export_predictions(table, form, out)
    assert export_predictions(table, form, out) == written
    written[0].write_bytes(written[0].read_bytes()+b"mine")
    before = written[0].read_bytes()
    assert export(place, form, "whole.csv", out.name, None) == 2 and written[0].read_bytes() == before


def says(capsys, *words):
    err = capsys.readouterr().err
    assert err.startswith("sere: ") and err.count("\n") == 1 and all(o in err for o in words), err


def test_one_line(place, capsys):
    for text in ("", "a,b\n1,2\n", "path,emotion\na.wav,anger\n", "path,emotion,p_anger\na.wav,anger,much\n",
                 "path,start_s,end_s,emotion,p_anger\na.wav,x,y,anger,1\n", "\0\0"):
        (place/"in"/"odd.csv").write_text(text)
        assert export(place, "labelstudio", "odd.csv", "t.json", None) == 2
        says(capsys, "odd.csv: ", "Give the file as sere run or sere predict wrote it")
    assert export(place, "labelstudio", "none.csv", "t.json", None) == 2
    says(capsys, "no predictions there")
    assert export(place, "labelstudio", out="tasks") == 2
    says(capsys, "-o tasks.json")
    shutil.move(place/"in"/"call.wav", place/"in"/"gone.wav")
    for form in ("datasets", "textgrid"):
        if form == "textgrid":
            pytest.importorskip("praatio")
        assert export(place, form, "whole.csv", "out", None) == 2
        says(capsys, "call.wav: ", "--manifest M.csv")
    assert export(place, "labelstudio", "whole.csv", "t.json") == 2
    says(capsys, "not in the manifest")
    assert not (place/"out").exists() and not (place/"t.json").exists()


def test_a_run_remembers_where_its_recordings_are(place):
    """As `sere audit` does: the model says where the target's manifest lies."""
    run = place/"out"/"run"
    (run/"model").mkdir(parents=True)
    shutil.copy(place/"in"/"cut.csv", run/"predictions.csv")
    (run/"model"/"encoder.json").write_text(json.dumps(dict(target=dict(from_here="../../../in/list.csv"))))
    assert main(["export", str(run), "--as", "datasets", "-o", str(place/"clips")]) == 0
    assert len(list((place/"clips"/"audio").rglob("*.wav"))) == len(ROWS.splitlines())-1
