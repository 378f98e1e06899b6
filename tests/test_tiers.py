"""Labels that people made in Praat and ELAN, as stretches of their recordings: what `sere export` wrote comes back; every form that these programs save; what cannot be read is named."""
import os
import warnings

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from hypothesis import given, settings, strategies as st

from sere_nb.audio import SR, stretch
from sere_nb.cli import main
from sere_nb.corpora import ManifestError, check_manifest, folder_manifest, read_manifest, write_manifest
from sere_nb.export import export_predictions
from sere_nb.tiers import read_tiers

FORMS = {"textgrid": ("praatio", ".TextGrid"), "elan": ("pympi", ".eaf")}


def sounds(folder, *names, seconds=6.):
    for i, o in enumerate(names):
        (folder/o).parent.mkdir(parents=True, exist_ok=True)
        sf.write(folder/o, np.sin(np.arange(int(SR*seconds))*.05*(i+1)), SR)


def said_of(work):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        return work(), [str(o.message) for o in said]


SPANS = st.lists(st.tuples(st.integers(0, 5900), st.integers(1, 3000), st.sampled_from(["anger", "fear", "Übermut, laut", 'so "so"', "<b>&amp;"]), st.sampled_from(["Ann", "Bob", ""])), min_size=1, max_size=8,
                 unique_by=lambda o: o[:2])


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.sampled_from(["talk.wav", "a b/talk.wav", "a b/one.wav"]), SPANS, min_size=1))
def test_what_was_exported_comes_back(form, tmp_path_factory, clips):
    """Times to the millisecond, labels and speakers, whatever overlaps."""
    pytest.importorskip(FORMS[form][0])
    d = tmp_path_factory.mktemp("d")
    sounds(d, *clips)
    rows = [(d/name, a/1000, min(a+n, 6000)/1000, label, who) for name, spans in clips.items() for a, n, label, who in dict(((a, min(a+n, 6000)), (a, n, e, w)) for a, n, e, w in spans).values()]
    files = [f"{p}#t={a:.3f},{b:.3f}" for p, a, b, *_ in rows]
    table = pd.DataFrame(dict(path=files, file=files, emotion=[o[3] for o in rows], speaker=[o[4] for o in rows], sure=.5, p_anger=.5, p_fear=.5))
    export_predictions(table, form, d/"labels")
    back, _ = said_of(lambda: folder_manifest(d, "de", tier="emotion"))
    key = lambda files, *more: sorted((os.path.realpath(at.file), round(at.start_s, 3), round(at.end_s, 3), *o) for at, *o in zip(map(stretch, files), *more))
    assert key(back.file, back.emotion)==key(files, table.emotion)
    # where nobody is named, the folder counts
    named = key(files, table.speaker)
    assert all(a==b or not b[3] for a, b in zip(key(back.file, back.speaker), named))


@pytest.mark.parametrize("form", FORMS)
def test_the_whole_way(form, tmp_path, capsys):
    """predictions -> export -> sere manifest --tier -> a list that is well"""
    pytest.importorskip(FORMS[form][0])
    sounds(tmp_path, "eva/talk.wav", "eva/song.wav", "silent.wav")
    (tmp_path/"p.csv").write_text("path,start_s,end_s,emotion,p_anger,p_fear\neva/talk.wav,.5,2,anger,.9,.1\neva/talk.wav,1.5,3,fear,.2,.8\neva/song.wav,0,6,anger,.9,.1\n")
    assert main(["export", str(tmp_path/"p.csv"), "--as", form, "-o", str(tmp_path/"labels")])==0
    assert main(["manifest", str(tmp_path), "--language", "hu", "--tier", "Emotion", "-o", str(tmp_path/"m.csv")])==0
    err = capsys.readouterr().err
    assert "1 recording left out, without a label on a tier 'Emotion', such as 'silent.wav'" in err
    t = read_manifest(tmp_path/"m.csv")
    assert sorted(zip(t.path, t.emotion, t.speaker))==[("eva/song.wav#t=0,6", "anger", "eva"), ("eva/talk.wav#t=0.5,2", "anger", "eva"), ("eva/talk.wav#t=1.5,3", "fear", "eva")]
    assert not check_manifest(tmp_path/"m.csv").level.eq("error").any()
    assert main(["manifest", str(tmp_path), "--language", "hu", "--tier", "mood", "-o", str(tmp_path/"n.csv")])==2
    err = capsys.readouterr().err
    assert "no recording has a tier 'mood' with labels" in err and "tiers that are not used: emotion" in err and err.count("\n")==1 and not (tmp_path/"n.csv").exists()


@pytest.mark.parametrize("form", FORMS)
def test_channels_come_back(form, tmp_path, capsys):
    """A call with a speaker in each channel: each clip keeps its channel, and its speaker, also where both speak at once."""
    pytest.importorskip(FORMS[form][0])
    x = np.sin(np.arange(SR*6)*.05)
    sf.write(tmp_path/"call.wav", np.stack([x, -x], 1), SR)
    rows = [(.5, 2, 1, "anger"), (.5, 2, 2, "fear"), (1.5, 3, 2, "anger"), (4, 5, "", "fear")]
    (tmp_path/"p.csv").write_text("path,start_s,end_s,channel,emotion,p_anger,p_fear\n"+"".join(f"call.wav,{a},{b},{c},{e},.5,.5\n" for a, b, c, e in rows))
    (tmp_path/"list.csv").write_text("path,language,speaker,start_s,end_s,channel\n"+"".join(f"call.wav,hu,v{c},{a},{b},{c}\n" for a, b, c, _ in rows))
    assert main(["export", str(tmp_path/"p.csv"), "--as", form, "-o", str(tmp_path/"labels"), "--manifest", str(tmp_path/"list.csv")]) == 0
    tiers = read_tiers(tmp_path/"labels"/f"call{FORMS[form][1]}")
    assert [o for o in tiers if o.startswith("emotion")] == ["emotion", "emotion (channel 1)", "emotion (channel 2)", "emotion (channel 2) 2"]
    assert main(["manifest", str(tmp_path), "--language", "hu", "--tier", "emotion", "-o", str(tmp_path/"m.csv")]) == 0
    assert "not used" not in capsys.readouterr().err
    t = read_manifest(tmp_path/"m.csv")
    back = [(o.start_s, o.end_s, o.channel or "", e, who) for o, e, who in zip(map(stretch, t.path), t.emotion, t.speaker)]
    assert sorted(back, key=str) == sorted([(*o, f"v{o[2]}") for o in rows], key=str)
    assert main(["manifest", str(tmp_path), "--language", "hu", "--tier", "Emotion (Channel 2)", "-o", str(tmp_path/"two.csv")]) == 0
    assert [stretch(o).channel for o in read_manifest(tmp_path/"two.csv").path] == [2, 2]


GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 3 
tiers? <exists> 
size = 2 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "Emotion" 
        xmin = 0 
        xmax = 3 
        intervals: size = 2 
        intervals [1]:
            xmin = 0 
            xmax = 1.5 
            text = "Wut ""so"" laut" 
        intervals [2]:
            xmin = 1.5 
            xmax = 3 
            text = " " 
    item [2]:
        class = "TextTier" 
        name = "clicks" 
        xmin = 0 
        xmax = 3 
        points: size = 1 
        points [1]:
            number = 1 
            mark = "x" 
"""
SHORT = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n3\n<exists>\n1\n"IntervalTier"\n"Emotion"\n0\n3\n2\n0\n1.5\n"Wut ""so"" laut"\n1.5\n3\n""\n'


@pytest.mark.parametrize("text", [GRID, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_forms_of_praat(text, code, tmp_path):
    pytest.importorskip("praatio")
    (tmp_path/"a.TextGrid").write_bytes(text.encode(code))
    assert read_tiers(tmp_path/"a.TextGrid")=={"Emotion": [(0, 1.5, 'Wut "so" laut')]}


def eaf(slots, *tiers):
    """An eaf; a tier is (name, annotations), an annotation (id, slot, slot, text) or (id, the one it stands for, text)"""
    each = lambda o: f'<ALIGNABLE_ANNOTATION ANNOTATION_ID="{o[0]}" TIME_SLOT_REF1="{o[1]}" TIME_SLOT_REF2="{o[2]}"><ANNOTATION_VALUE>{o[3]}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>' if len(o)==4 else \
        f'<REF_ANNOTATION ANNOTATION_ID="{o[0]}" ANNOTATION_REF="{o[1]}"><ANNOTATION_VALUE>{o[2]}</ANNOTATION_VALUE></REF_ANNOTATION>'
    time = lambda ms: "" if ms is None else f' TIME_VALUE="{ms}"'
    return '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT><TIME_ORDER>'+"".join(f'<TIME_SLOT TIME_SLOT_ID="{k}"{time(v)}/>' for k, v in slots.items())+"</TIME_ORDER>"+"".join(
        f'<TIER TIER_ID="{name}">'+"".join(f"<ANNOTATION>{each(o)}</ANNOTATION>" for o in some)+"</TIER>" for name, some in tiers)+"</ANNOTATION_DOCUMENT>"


def test_forms_of_elan(tmp_path):
    """Tiers that hang on others, by several steps or in a circle; slots without a time; empty words."""
    (tmp_path/"a.eaf").write_text(eaf(dict(s1=0, s2=1000, s3=None), ("words", [("a1", "s1", "s2", "so"), ("a2", "s1", "s3", "half"), ("a3", "s1", "s2", "")]),
                                      ("mood", [("b1", "a1", "down"), ("b2", "a2", "up")]), ("emotion", [("c1", "b1", " fear "), ("c2", "c2", "x"), ("c3", "c4", "x"), ("c4", "c3", "x"), ("c5", "nobody", "x")])))
    assert read_tiers(tmp_path/"a.eaf")==dict(words=[(0, 1, "so")], mood=[(0, 1, "down")], emotion=[(0, 1, "fear")])


BROKEN = {"a.eaf": [b"", b"no xml", b"<a", b"\xff\xfe\0", eaf({"s1": "x", "s2": 5}, ("emotion", [("a1", "s1", "s2", "fear")])).encode()],
          "a.TextGrid": [b"", b"no grid", b"\xff\xfe\0", b"\xe9\xe8", GRID.replace("xmax = 1.5", "xmax = later").encode(), GRID[:300].encode(), b"[]", b"ooBinaryFile\x08TextGrid\0\0"]}


@pytest.mark.parametrize("name, data", [(k, o) for k, some in BROKEN.items() for o in some])
def test_what_cannot_be_read_is_one_line(name, data, tmp_path):
    pytest.importorskip("praatio")
    (tmp_path/name).write_bytes(data)
    with pytest.raises(ManifestError) as e: read_tiers(tmp_path/name)
    assert str(e.value).startswith(f"{tmp_path/name}: cannot be read as a file of ") and "\n" not in str(e.value)
    sounds(tmp_path, "a.wav", "b.wav")
    with pytest.raises(ManifestError, match="1 file of labels left out; the first: ") as e: folder_manifest(tmp_path, "de", tier="emotion")
    assert "\n" not in str(e.value)
    (tmp_path/"b.eaf").write_text(eaf(dict(s1=0, s2=1000), ("emotion", [("a1", "s1", "s2", "fear")])))
    t, said = said_of(lambda: folder_manifest(tmp_path, "de", tier="emotion"))
    assert list(t.emotion)==["fear"] and len(said)==2 and "left out; the first: " in said[0] and "'a.wav'" in said[1]


@pytest.mark.parametrize("form", FORMS)
def test_no_list_over_labels_that_sere_wrote(form, tmp_path, capsys):
    pytest.importorskip(FORMS[form][0])
    sounds(tmp_path, "talk.wav")
    (tmp_path/"p.csv").write_text("path,emotion,p_anger,p_fear\ntalk.wav,anger,.9,.1\n")
    assert main(["export", str(tmp_path/"p.csv"), "--as", form, "-o", str(tmp_path)])==0
    labels = tmp_path/f"talk{FORMS[form][1]}"
    before = labels.read_bytes()
    assert main(["manifest", str(tmp_path), "--language", "hu", "--tier", "emotion", "-o", str(labels)])==2 and labels.read_bytes()==before
    assert "Give a CSV file" in capsys.readouterr().err


@pytest.mark.skipif(os.name=="nt", reason="pipes as Unix has them")
def test_no_pipe_is_waited_for(tmp_path):
    os.mkfifo(tmp_path/"a.eaf")
    with pytest.raises(ManifestError, match="cannot be read"): read_tiers(tmp_path/"a.eaf")


PLACES = [      # recordings; {file of labels: the one it belongs to}
    (["a/x.wav", "b/x.wav"], {"a/x.eaf": "a/x.wav", "b/x.wav.eaf": "b/x.wav"}),
    (["x.wav", "a/x.wav"], {"elan/x.eaf": "x.wav", "elan/a/x.eaf": "a/x.wav"}),
    (["x.wav", "a/x.wav"], {"elan/x.eaf": "x.wav"}),
    (["sound/a/x.wav", "sound/b/x.wav"], {"elan/a/x.eaf": "sound/a/x.wav"}),
    (["sound/b/x.wav"], {"elan/a/x.eaf": None, "x.eaf": None}),
    (["a/x.wav", "b/x.wav"], {"elan/x.eaf": None}),
    (["a/x.wav"], {"elan/x.eaf": "a/x.wav", "elan/deeper/x.eaf": None}),
    (["a/x.wav"], {"a/x.eaf": "a/x.wav", "elan/x.eaf": None}),
]


@pytest.mark.parametrize("recordings, labels", PLACES)
def test_which_file_belongs_to_which_recording(recordings, labels, tmp_path):
    sounds(tmp_path, *recordings, seconds=.5)
    for name in labels:
        (tmp_path/name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path/name).write_text(eaf(dict(s1=0, s2=400), ("emotion", [("a1", "s1", "s2", f"of {name}")])))
    want = {f"of {k}": o for k, o in labels.items() if o}
    if not want:
        with pytest.raises(ManifestError, match="no recording has a tier"): folder_manifest(tmp_path, "de", tier="emotion")
        return
    t, said = said_of(lambda: folder_manifest(tmp_path, "de", tier="emotion"))
    assert dict(zip(t.emotion, (stretch(o).file.removeprefix(f"{tmp_path}/") for o in t.file)))==want
    lost = len(recordings)-len(set(want.values()))
    assert len(said)==bool(lost) and all(f"{lost} recording" in o for o in said)


def test_two_files_for_one_recording(tmp_path):
    sounds(tmp_path, "x.wav", seconds=.5)
    text = eaf(dict(s1=0, s2=400), ("emotion", [("a1", "s1", "s2", "fear")]))
    for name in ("x.eaf", "x.wav.eaf"): (tmp_path/name).write_text(text)
    with pytest.raises(ManifestError, match="both x.eaf and x.wav.eaf have a tier 'emotion'. Leave one"): folder_manifest(tmp_path, "de", tier="emotion")
    (tmp_path/"x.wav.eaf").write_text(text.replace('"emotion"', '"mood"'))      # one with the tier
    t, said = said_of(lambda: folder_manifest(tmp_path, "de", tier="emotion"))
    assert list(t.emotion)==["fear"] and said==[f"{tmp_path}: tiers that are not used: mood."]


def test_a_list_of_tiers_can_be_written_and_read(tmp_path):
    sounds(tmp_path, "a.wav")
    (tmp_path/"a.eaf").write_text(eaf(dict(s1=0, s2=1000, s3=2500), ("emotion", [("a1", "s1", "s2", "Wut"), ("a2", "s2", "s3", "?")]), ("speaker", [("b1", "s1", "s3", "Eva")])))
    write_manifest(folder_manifest(tmp_path, "de", tier="emotion"), tmp_path/"m.csv")
    t, said = said_of(lambda: read_manifest(tmp_path/"m.csv"))
    assert list(t.path)==["a.wav#t=0,1", "a.wav#t=1,2.5"] and list(t.emotion)==["anger", ""] and set(t.speaker)=={"Eva"}
    assert any("placeholders" in o for o in said)
