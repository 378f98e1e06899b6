"""Manifests as people write them, corpora as people download them, draws that can be repeated."""
import os
import re
import shlex
import sys
import warnings
from collections import Counter

import pandas as pd
import pytest
from conftest import BAD, FINE
from hypothesis import given, settings, strategies as st

from sere_nb.corpora import (EMOTIONS, RECIPES, ManifestError, ManifestWarning, check_manifest, draw_shots, folder_manifest, is_placeholder, language_code,
                             make_manifest, read_labels, read_manifest, read_manifests, shared_emotions, write_manifest)
from sere_nb.inputs import read_shots


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


@pytest.mark.parametrize("text, says", [
    ("", "empty"), ("\n\n", "empty"), ("path,language\n", "no rows"), ("path,language\n,de\n", "no rows"),
    ("file,language\na,b\n", "no column 'path'"), ("path,lang\na,b\n", "no column 'language'"), ("Path,lang\na,b\n", "there are: path, lang"),
    ("Pfad;Sprache\na;b\n", "there are: Pfad, Sprache"), ("File;Language\na;b\n", "Did you mean 'File'? Then say so: --column path=File"),
    ("Path,PATH,language\na,b,c\n", "columns 'Path' and 'PATH' could both be path"), ("path,language,Emotion, EMOTION \na,b,c,d\n", "could both be emotion"),
    ("path,language,,\na,b,c,d\n", "1 × more cells than columns"), ("path,language\na,,,\n", "1 × no language"),
    ("path,language,path\na,b,c\n", "twice"), ('path,language\n"a,b\n', "not CSV"), ('path,language\n"a"b,c\n', "line 2: not CSV"),
    ("path,language\nä,de\n".encode("latin1"), "not UTF-8"), ("path,language\n".encode("utf-16"), "no rows"),
    ("path,language\na,de\n".encode("utf-16")[:-1], "not UTF-8"), (b"PK\x03\x04 no workbook", "workbook"), (b"\xd0\xcf\x11\xe0 old", "old Excel workbook"),
    (b"RIFF\x00\x00\x00\x00WAVEfmt \xff", "not"),
])
def test_useless_manifest_is_one_line(tmp_path, text, says):
    p = write(tmp_path/"m.csv", text)
    with pytest.raises(ManifestError) as e: read_manifest(p)
    assert says in str(e.value) and str(p) in str(e.value) and "\n" not in str(e.value)
    report = check_manifest(p)
    assert list(report.level)==["error"] and report.advice[0]


@pytest.mark.parametrize("name, said", [("no.csv", "no such manifest"), (".", "a folder, not a manifest. Make one of it: sere manifest")])
def test_no_manifest(tmp_path, name, said):
    with pytest.raises(ManifestError, match=said): read_manifest(tmp_path/name)


def test_spreadsheets(tmp_path):
    """Excel's byte-order mark, Windows line ends, spaces, blank lines, short rows, a quoted comma."""
    p = write(tmp_path/"m.csv", '\ufeffpath , language,emotion,note\r\n a.wav ,de, Anger ,\r\n\r\n"b, c.wav",de\r\n')
    t = read_manifest(p)
    assert list(t.path)==["a.wav", "b, c.wav"] and list(t.emotion)==["anger", ""] and list(t.note)==["", ""]


def test_rows_left_out_are_counted(tmp_path):
    p = write(tmp_path/"m.csv", "path,language,emotion\na.wav,de,anger\n./a.wav,de,fear\nb.wav,,anger\n,de,anger\nc.wav,de,anger,x\nd.wav,de,amused\n")
    with pytest.warns(ManifestWarning) as said: t = read_manifest(p)
    assert list(t.path)==["a.wav", "d.wav"] and t.emotion[1]=="amused"
    assert "4 of 6 rows left out" in str(said[0].message) and "1 × path twice" in str(said[0].message)
    assert "there 'anger', here 'fear'" in " ".join(check_manifest(p).problem)


def test_absolute_relative_and_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    p = write(tmp_path/"m.csv", f"path,language\nx/a.wav,de\n{tmp_path}/b.wav,de\n~/c.wav,de\n../d.wav,de\n")
    assert list(read_manifest(p).file)==[str(tmp_path/"x/a.wav"), str(tmp_path/"b.wav"), str(tmp_path/"c.wav"), str(tmp_path.parent/"d.wav")]


def test_several_manifests(tmp_path):
    a = write(tmp_path/"a.csv", "path,language,age\nx.wav,de,9\n")
    b = write(tmp_path/"b.csv", "path,language,emotion\nx.wav,de,anger\ny.wav,it,fear\n")
    with pytest.warns(ManifestWarning, match="1 clips are in more than one"): t = read_manifests([a, b])
    assert list(t.path)==["x.wav", "y.wav"] and list(t.age)==["9", ""]


# ---- lists as people have them ----

def said_of(f):
    """(result, what was said) of a call."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        return f(), [str(o.message) for o in said if issubclass(o.category, ManifestWarning)]


def listed(path, rows, columns="path,language,speaker,emotion"):
    """A manifest of these rows, cell by cell, with CSV's quotes where needed."""
    pd.DataFrame(rows, columns=columns.split(",")).to_csv(path, index=False)
    return path


def test_what_is_valid_is_read_as_it_stands(tmp_path):
    """Codes and words of the contract, labels and columns of one's own, odd speakers: nothing is changed and nothing is said."""
    rows = [(f"{i}.wav", l, s, e, "x;y") for i, (l, s, e) in enumerate(zip(
        ["de", "it", "zh", "xx", "aa", "no", "yue", "Klingonish", "de", "de", "de"], ["001", "Anna", "Na", "02", "0", "s-1", "?x", "no one", "é", "None of us", ""],
        [*EMOTIONS, "amused", ""]))]
    t, said = said_of(lambda: read_manifest(listed(tmp_path/"m.csv", rows, "path,language,speaker,emotion,my note")))
    assert [tuple(o) for o in t[["path", "language", "speaker", "emotion", "my note"]].to_numpy()]==rows and said==[]


PLACEHOLDERS = ["nan", "NaN", "None", "N/A", "NULL", "?", "-", "unknown", "xxx", "oth", "NA", "n/a", "null", "Unknown", "--", "??", "#N/A", "<NA>", "—", "Other", "no label"]


@pytest.mark.parametrize("word", PLACEHOLDERS)
def test_placeholders_are_no_labels(tmp_path, word):
    t, said = said_of(lambda: read_manifest(listed(tmp_path/"m.csv", [("a.wav", "de", "Ann", "anger"), ("b.wav", "de", "Ann", word), ("c.wav", "de", "Ann", word)])))
    assert list(t.emotion)==["anger", "", ""]
    assert len(said)==1 and f"2 of 3 labels are placeholders ({word} 2)" in said[0]
    assert f"({word} 2)" in " ".join(check_manifest(tmp_path/"m.csv").problem)


@pytest.mark.parametrize("word", [o for o in PLACEHOLDERS if o.lower() not in ("xxx", "oth", "other", "no label")])
def test_placeholders_are_no_speakers(tmp_path, word):
    t, said = said_of(lambda: read_manifest(listed(tmp_path/"m.csv", [("a.wav", "de", "Ann", ""), ("b.wav", "de", word, "")])))
    assert list(t.speaker)==["Ann", ""] and len(said)==1 and f"1 of 2 clips have a placeholder as speaker ({word} 1)" in said[0]


SPELLINGS = {
    "anger": "anger Angry ANGER wut Ärger ärger A\u0308rger rabbia colère enfado ang raiva гнев 愤怒 生气 öfke düh ZŁOŚĆ woede", "boredom": "bored Langeweile ennui noia", "calm": "Calm ruhig calme",
    "disgust": "disgusted DISGUST Ekel dégoût Degout nojo отвращение 厌恶 walging", "fear": "fearful Angst peur paura miedo Fear medo Страх 恐惧 korku félelem felelem strach", "happiness": "happy Happiness happiness/joy joy Freude gioia joie alegría alegria felicidade радость 高兴 öröm mutluluk radość",
    "neutral": "Neutral neu neutro neutre нейтрально 中性 semleges nötr", "sadness": "sad Trauer traurig tristezza tristesse SADNESS грусть 悲伤 悲しみ szomorúság verdriet", "surprise": "surprised Überraschung Ueberraschung sorpresa pleasant_surprise pleasant-surprise surpresa удивление 惊讶 meglepetés şaşkınlık"}


@pytest.mark.parametrize("word", SPELLINGS)
def test_spellings_are_one_word(tmp_path, word):
    several = SPELLINGS[word].split()
    t, said = said_of(lambda: read_manifest(listed(tmp_path/"m.csv", [(f"{i}.wav", "de", "Ann", o) for i, o in enumerate(several)])))
    assert set(t.emotion)=={word} and len(said)==1 and "labels brought to one vocabulary" in said[0]
    report = check_manifest(tmp_path/"m.csv").problem
    assert report.str.contains("labels brought to one vocabulary").sum()==1 and not report.str.contains("not in the vocabulary").any()


def test_own_labels_join_the_first_spelling(tmp_path):
    a = listed(tmp_path/"a.csv", [("a.wav", "de", "", "Amused"), ("b.wav", "de", "", "amused"), ("c.wav", "de", "", "very  AMUSED")])
    b = listed(tmp_path/"b.csv", [("d.wav", "de", "", "AMUSED"), ("e.wav", "de", "", "frustrated")])
    t, said = said_of(lambda: read_manifest(a))
    assert list(t.emotion)==["Amused", "Amused", "very  AMUSED"] and "amused → Amused 1" in said[0]
    assert list(said_of(lambda: read_manifests([a, b]))[0].emotion)==["Amused", "Amused", "very  AMUSED", "Amused", "frustrated"]


def test_a_list_of_labels_has_the_last_word(tmp_path):
    m = listed(tmp_path/"m.csv", [(f"{i}.wav", "de", "", e) for i, e in enumerate(["W", "w", "anxiety", "unknown", "joy", "sad", "worry"])])
    given = read_labels(write(tmp_path/"l.csv", "from;to\nW;Anger\nanxiety;Worry\nunknown;unknown\nsad;\n"))
    assert given=={"W": "Anger", "anxiety": "Worry", "unknown": "unknown", "sad": ""}
    t, said = said_of(lambda: read_manifest(m, labels=given))
    assert list(t.emotion)==["anger", "anger", "Worry", "unknown", "happiness", "", "Worry"]
    assert not any("placeholder" in o for o in said) and any("sad → no label 1" in o for o in said)
    for text, says in (("a,b\n1,2\n", "needs the columns from and to; there are: a, b"), ("", "needs the columns")):
        with pytest.raises(ManifestError, match=says): read_labels(write(tmp_path/"l.csv", text))
    with pytest.raises(ManifestError, match="cannot be read"): read_labels(tmp_path/"none.csv")


@pytest.mark.parametrize("theirs, ours", [("label", "emotion"), ("emo", "emotion"), ("Emotions", "emotion"), ("spk", "speaker"), ("speaker_id", "speaker"),
                                          ("Speaker ID", "speaker"), ("Sprecher", "speaker"), ("dataset", "corpus")])
def test_look_alikes_are_named_and_can_be_meant(tmp_path, theirs, ours):
    m = listed(tmp_path/"m.csv", [("a.wav", "de", "anger")], f"path,language,{theirs}")
    t, said = said_of(lambda: read_manifest(m))
    assert t[ours][0]=="" and t[theirs][0]=="anger" and said[0].startswith(f"{m}: column '{theirs}' is not used; did you mean {ours}. If so: --column {ours}={theirs}")
    assert f"column '{theirs}' is not used" in " ".join(check_manifest(m).problem)
    t, said = said_of(lambda: read_manifest(m, columns={ours: theirs}))
    assert t[ours][0]=="anger" and theirs not in t and not said
    assert f"'{theirs}'" not in " ".join(check_manifest(m, columns={ours: theirs}).problem)


@pytest.mark.parametrize("theirs, ours", [("file", "path"), ("Filename", "path"), ("File Name", "path"), ("Datei", "path"), ("lang", "language"), ("Sprache", "language")])
def test_needed_columns_under_other_names(tmp_path, theirs, ours):
    other = dict(path="language", language="path")[ours]
    m = write(tmp_path/"m.csv", f"{theirs};{other}\n"+("a.wav;de\n" if ours=="path" else "de;a.wav\n"))
    with pytest.raises(ManifestError, match=f"no column '{ours}'.*Did you mean '{theirs}'"): read_manifest(m)
    t, _ = said_of(lambda: read_manifest(m, columns={ours: theirs}))
    assert (t.path[0], t.language[0])==("a.wav", "de")


OURS = ("path", "language", "speaker", "emotion", "corpus", "start_s", "end_s", "channel")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["", str.capitalize, str.upper, str.title, str.swapcase]), min_size=8, max_size=8), st.lists(st.sampled_from(["{}", " {}", "{}  ", "\t{} "]), min_size=8, max_size=8),
       st.sampled_from(list(",;|")))
def test_capitals_and_blanks_make_no_other_column(tmp_path_factory, cases, blanks, sep):
    """A list with names written in any case says what the plain one says, and one line says that it was read so; explicit names win."""
    folder = tmp_path_factory.mktemp("m")
    names = [b.format(c(o) if c else o) for o, c, b in zip(OURS, cases, blanks)]
    row = "a.wav,de,Anna,anger,mine,1,2,1"
    m, plain = (write(folder/f, f"{sep.join(o)}\n{row.replace(',', sep)}\n") for f, o in (("m.csv", names), ("plain.csv", OURS)))
    (t, said), (same, _) = said_of(lambda: read_manifest(m)), said_of(lambda: read_manifest(plain))
    assert t.equals(same) and list(t)==list(same)
    odd = [o for o in map(str.strip, names) if o not in OURS]
    about = [o for o in said if "but for capitals" in o]
    assert len(about)==bool(odd) and all(f"{o} → {o.lower()}" in about[0] for o in odd) and not any("did you mean" in o for o in said)
    assert check_manifest(m).problem.str.contains("but for capitals").sum()==bool(odd)


def test_the_exact_name_wins_and_so_does_what_is_said(tmp_path):
    m = listed(tmp_path/"m.csv", [("a.wav", "de", "anger", "fear")], "path,language,emotion,Emotion")
    t, said = said_of(lambda: read_manifest(m))
    assert t.emotion[0]=="anger" and t.Emotion[0]=="fear" and not said
    m = listed(tmp_path/"n.csv", [("a.wav", "de", "anger", "fear")], "path,language,EMOTION,Emotion")
    t, said = said_of(lambda: read_manifest(m, columns=dict(emotion="Emotion")))
    assert t.emotion[0]=="fear" and t.EMOTION[0]=="anger" and not said
    with pytest.raises(ManifestError, match="'EMOTION' and 'Emotion' could both be emotion. Rename or remove one."): read_manifest(m)


def test_capitals_below_a_title_in_unicode_and_in_a_workbook(tmp_path):
    rows = [["Recordings of May", "", ""], [""]*3, ["Path", "LANGUAGE", "Emotion"], ["a.wav", "de", "anger"]]
    pd.DataFrame(rows).to_excel(tmp_path/"m.xlsx", header=False, index=False)
    text = "\n".join("\t".join(o) for o in rows)
    for f, data in (("m.xlsx", None), ("u.csv", text.encode("utf-16")), ("b.csv", text.partition("\n\t\t\n")[2].encode("utf-16-le")), ("t.csv", text.encode())):
        if data: write(tmp_path/f, data)
        t, said = said_of(lambda: read_manifest(tmp_path/f))
        assert list(t.emotion)==["anger"] and sum("Path → path, LANGUAGE → language, Emotion → emotion" in o for o in said)==1


def test_capitals_in_lists_of_labels_and_shots(tmp_path):
    assert read_labels(write(tmp_path/"l.csv", "From, TO\nW,anger\n"))=={"W": "anger"}
    t = read_manifest(listed(tmp_path/"m.csv", [("a.wav", "de", "", ""), ("b.wav", "de", "", "fear")]))
    shots = read_shots(write(tmp_path/"s.csv", "PATH;Emotion\na.wav;Wut\nb.wav;\n"), t)
    assert list(shots.values())==["anger", "fear"]
    with pytest.raises(ManifestError, match="could both be emotion"): read_shots(write(tmp_path/"s.csv", "path,EMOTION,Emotion\na.wav,anger,fear\n"), t)


def test_columns_that_cannot_be_renamed(tmp_path):
    m = listed(tmp_path/"m.csv", [("a.wav", "de", "x", "y")], "path,language,speaker,spk")
    with pytest.raises(ManifestError, match="no column 'spkr' to be read as speaker; there are: path"): read_manifest(m, columns=dict(speaker="spkr"))
    with pytest.raises(ManifestError, match="there is a column 'speaker', too"): read_manifest(m, columns=dict(speaker="spk"))
    assert "too" in check_manifest(m, columns=dict(speaker="spk")).problem[0]


def test_one_code_a_language(tmp_path):
    names = "de DE German german Deutsch deu ger de-DE de_AT".split()
    m = listed(tmp_path/"m.csv", [(f"{i}.wav", o, "", "") for i, o in enumerate(names)])
    t, said = said_of(lambda: read_manifest(m))
    assert set(t.language)=={"de"} and len(said)==1 and "German → de 1" in said[0]
    assert "languages brought to one code each" in " ".join(check_manifest(m).problem)
    assert [language_code(o) for o in ("zho", "zh-Hant-TW", "cmn", "italiano", "Français", "per", "Persian", "Greek", "中文")]==["zh", "zh", "zh", "it", "fr", "fa", "fa", "el", "zh"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=12))
def test_any_language(word): assert language_code(language_code(word))==language_code(word) and isinstance(language_code(word), str)


@pytest.mark.parametrize("a, b", [("Anna", "anna"), ("001", "1"), ("s01", "S1"), ("José", "Jose\u0301"), ("A  B", "a b")])
def test_speakers_that_may_be_one(tmp_path, a, b):
    m = listed(tmp_path/"m.csv", [("a.wav", "de", a, ""), ("b.wav", "de", b, ""), ("c.wav", "de", "Anne", ""), ("d.wav", "de", "10", "")])
    t, said = said_of(lambda: read_manifest(m))
    assert list(t.speaker)==[a, b, "Anne", "10"] and len(said)==1 and f"speakers {a!r} and {b!r} differ only" in said[0]


FORMS = {"semicolons": (";", "utf-8"), "tabs": ("\t", "utf-8"), "bars": ("|", "utf-8"), "UTF-16 (Excel's Unicode text)": ("\t", "utf-16"), "UTF-16 without a mark": (",", "utf-16-le"),
         "big end first": (";", "utf-16-be"), "UTF-8 with a mark": (";", "utf-8-sig"), "Windows": (";", "cp1252")}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("tail, hint", [("", ""), ("", "sep=;\r\n"), (";;;", "")])
def test_what_spreadsheets_save(tmp_path, name, tail, hint):
    sep, encoding = FORMS[name]
    write(tmp_path/"müde.wav", "x")
    text = f"{hint}path;language;emotion;note{tail}\r\nmüde.wav;de;anger;\"1,5;x|y\tz\"{tail}\r\nb.wav;de;fear;{tail}\r\n;;;{tail}\r\n"
    text = re.sub("(?<!5);", lambda _: sep, text)
    m = write(tmp_path/"m.csv", text.encode(encoding))
    t, said = said_of(lambda: read_manifest(m))
    assert list(t.path)==["müde.wav", "b.wav"] and list(t.emotion)==["anger", "fear"] and list(t.note)==["1,5;x|y\tz", ""]
    assert list(t)==["path", "file", "language", "speaker", "emotion", "corpus", "note"]
    assert len(said)==(name!="UTF-16 without a mark" or 1) and "read " in said[0]


TITLES = ["{}", "\n{}", ";;;\n{}", "My recordings; all of them, of 2026\n\n{}", "# made by hand\n# twice\n{}", '"a | title"\n;;\n\n{}']


@pytest.mark.parametrize("above", TITLES)
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_columns_below_a_title(tmp_path, above, sep):
    text = above.format("path;language;emotion\na.wav;de;anger\nb.wav;de;\n;de;fear\n".replace(";", sep))
    m = write(tmp_path/"m.csv", text)
    t, said = said_of(lambda: read_manifest(m))
    assert list(t.path)==["a.wav", "b.wav"] and list(t.emotion)==["anger", ""]
    assert f"the first in line {text.count(chr(10))}" in " ".join(said)      # lines are counted from the first of the file
    above = text[:text.index("path")].count("\n")
    assert (f"from line {above+1} on" in " ".join(said))==(above>0)


def test_columns_of_a_workbook_below_a_title_and_on_another_sheet(tmp_path):
    pytest.importorskip("openpyxl")
    table = pd.DataFrame(dict(path=["a.wav"], language="de", emotion="Wut"))
    with pd.ExcelWriter(tmp_path/"m.xlsx") as book:
        pd.DataFrame({"Notes": ["see the other sheet"]}).to_excel(book, sheet_name="about", index=False)
        table.to_excel(book, sheet_name="clips", index=False, startrow=3)
    t, said = said_of(lambda: read_manifest(tmp_path/"m.xlsx"))
    assert list(t.emotion)==["anger"] and "(sheet 'clips') from row 4 on" in said[0]
    t, _ = said_of(lambda: read_manifest(tmp_path/"m.xlsx", columns=dict(speaker="emotion")))
    assert list(t.speaker)==["Wut"]


KINDS = {"TextGrid": (b'File type = "ooTextFile"\nObject class = "TextGrid"\n', "--tier emotion"), "long TextGrid in UTF-16": ('File type = "ooTextFile"\n'.encode("utf-16"), "--tier emotion"),
         "eaf": (b'<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT AUTHOR="">', "--tier emotion"), "EMU": (b'{\n  "name": "msajc003",\n  "levels": []}', "query()"),
         "Label Studio": (b'[{"data": 1}]', "JSON"), "page": (b"<!doctype html><html>", "web page"), "wav": (b"RIFF\0\0\0\0WAVEfmt ", "sere segment"), "mp3": (b"\xff\xfb\x90\xc4\0\0", "sere segment"),
         "tagged mp3": (b"ID3\x04\0\0", "sere segment"), "m4a": (b"\0\0\0 ftypM4A ", "sere segment"), "opus": (b"OggS\0\2", "sere segment")}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_list_is_called_by_its_name(tmp_path, name):
    data, way_out = KINDS[name]
    p = write(tmp_path/"labels.txt", data+b"\0"*300)
    with pytest.raises(ManifestError, match="not a list of clips") as e: read_manifest(p)
    assert way_out in str(e.value) and "\n" not in str(e.value)
    report = check_manifest(p)
    assert list(report.level)==["error"] and way_out in report.problem[0]+report.advice[0]
    with pytest.raises(ManifestError, match="not a list"): read_labels(p)


def test_all_columns_under_other_names_are_guessed_in_one_line(tmp_path):
    m = write(tmp_path/"m.csv", "Dateiname;Sprache;Sprecher ID;Gefühl\na.wav;de;v1;Wut\n")
    with pytest.raises(ManifestError) as e: read_manifest(m)
    options = shlex.split(str(e.value).partition("say so: ")[2])
    assert options[::2]==["--column"]*4
    t, said = said_of(lambda: read_manifest(m, columns=dict(o.split("=") for o in options[1::2])))
    assert t.iloc[0][["path", "language", "speaker", "emotion"]].tolist()==["a.wav", "de", "v1", "anger"]


def test_rows_that_all_end_in_commas(tmp_path):
    """Beyond the header's columns, too. But where only some rows do, a comma in a cell may have pushed the others aside."""
    t, said = said_of(lambda: read_manifest(write(tmp_path/"m.csv", "path,language\na.wav,de,,,\nb.wav,de,,,\n")))
    assert list(t.path)==["a.wav", "b.wav"] and not said
    t, said = said_of(lambda: read_manifest(write(tmp_path/"m.csv", "path,language,emotion\na.wav,de,anger\nb, c.wav,de,\n")))
    assert list(t.path)==["a.wav"] and "1 × more cells than columns" in said[0]


def test_a_code_page_is_not_guessed(tmp_path):
    rows = "path,language,speaker,emotion\n{},de,{},{}\n"
    for path, speaker, emotion in (("ä.wav", "A", "anger"), ("a.wav", "Jörg", "anger"), ("a.wav", "A", "fröhlich und mehr")):
        with pytest.raises(ManifestError, match="not UTF-8 text .byte [0-9]+.. Save it"): read_manifest(write(tmp_path/"m.csv", rows.format(path, speaker, emotion).encode("cp1252")))
    with pytest.raises(ManifestError, match="not UTF-8"): read_manifest(write(tmp_path/"m.csv", rows.format("ä.wav", "ő", "").encode("cp1250")))
    t, said = said_of(lambda: read_manifest(write(tmp_path/"m.csv", rows.format("a.wav", "Jörg", "Überraschung").encode("cp1252"))))
    assert t.speaker[0]=="Jörg" and t.emotion[0]=="surprise" and "read as Windows text (cp1252)" in said[0]


def test_workbook(tmp_path):
    pytest.importorskip("openpyxl")
    table = pd.DataFrame(dict(path=["a.wav", "b.wav"], language="de", speaker=["001", 7], emotion=["Wut", None], take=[1, 2]))
    with pd.ExcelWriter(tmp_path/"m.xlsx") as book:
        table.to_excel(book, sheet_name="clips", index=False)
        table.to_excel(book, sheet_name="old", index=False)
    t, said = said_of(lambda: read_manifest(tmp_path/"m.xlsx"))
    assert list(t.speaker)==["001", "7"] and list(t.emotion)==["anger", ""] and list(t["take"])==["1", "2"] and "an Excel workbook (sheet 'clips')" in said[0]


def test_workbook_without_its_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ManifestError, match=r"an Excel workbook. To read it: pip install 'sere_nb\[excel\]'; or save it"): read_manifest(write(tmp_path/"m.xlsx", b"PK\x03\x04"))


@pytest.mark.parametrize("there, written", [("snd/a.wav", "snd\\a.wav"), ("snd/a.wav", ".\\snd\\a.wav"), ("A\u0308/e\u0301.wav", "Ä/é.wav"), ("Ä/é.wav", "A\u0308/e\u0301.wav"),
                                            ("Ä/e\u0301.wav", "A\u0308\\é.wav"), ("a b/ä.wav", "file://{}/a%20b/%C3%A4.wav"), ("a.wav", "file:{}/a.wav"), ("a.wav", "file://localhost{}/a.wav")])
def test_paths_of_other_computers(tmp_path, there, written):
    (tmp_path/there).parent.mkdir(exist_ok=True)
    write(tmp_path/there, "x")
    written = written.format(tmp_path)
    t, said = said_of(lambda: read_manifest(listed(tmp_path/"m.csv", [(written, "de", "", "")])))
    assert t.file[0]==str(tmp_path/there) and t.path[0]==written and len(said)==1 and "1 of 1 paths are written otherwise" in said[0]


def test_a_name_with_a_backslash_is_itself(tmp_path):
    write(tmp_path/"a\\b.wav", "x")
    (tmp_path/"a").mkdir()
    write(tmp_path/"a/b.wav", "x")
    t, said = said_of(lambda: read_manifest(listed(tmp_path/"m.csv", [("a\\b.wav", "de", "", "")])))
    assert t.file[0]==str(tmp_path/"a\\b.wav") and not said


@pytest.mark.parametrize("there, written, says", [("Snd/A.WAV", "snd/a.wav", "there is 'A.WAV'"), ("Snd/a.wav", "snd/a.wav", "there is 'a.wav' in '"), ("a.flac", "a.wav", "there is 'a.flac'"),
                                                  ("b.wav", "a.wav", "no such file"), ("a.wav", r"C:\Users\eva\a.wav", "a path of a Windows computer")])
def test_what_differs_is_told(tmp_path, there, written, says):
    (tmp_path/there).parent.mkdir(exist_ok=True)
    write(tmp_path/there, "x")
    report = check_manifest(listed(tmp_path/"m.csv", [(written, "de", "s", "")]))
    assert says in report.problem[report.level=="error"].iloc[0]


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(str.strip).filter(bool)
kept = text.filter(lambda o: language_code(o)==o and not is_placeholder(o, speaker=True))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(text, kept, kept), min_size=1, max_size=5, unique_by=lambda r: r[0]))
def test_written_and_read_back(tmp_path_factory, rows):
    d = tmp_path_factory.mktemp("rt")
    t = pd.DataFrame([dict(path=f"clips/{i}{p.replace('/', '_')}.wav", language=l, speaker=s) for i, (p, l, s) in enumerate(rows)])
    t["file"] = [str(d/p) for p in t.path]
    back = read_manifest(write_manifest(t, d/"m.csv"))
    assert [list(back[k]) for k in ("path", "file", "language", "speaker")]==[list(t[k]) for k in ("path", "file", "language", "speaker")]


def test_write_is_atomic_and_says_why_not(tmp_path, monkeypatch):
    t = pd.DataFrame([dict(path="a.wav", language="de")])
    write_manifest(t, tmp_path/"m.csv")
    before = (tmp_path/"m.csv").read_text()
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ManifestError, match="No space left"): write_manifest(pd.concat([t, t]), tmp_path/"m.csv")
    assert (tmp_path/"m.csv").read_text()==before
    write(tmp_path/"block", "")
    with pytest.raises(ManifestError, match="cannot be written"): write_manifest(t, tmp_path/"block"/"m.csv")
    with pytest.raises(ManifestError, match="no column 'language'"): write_manifest(t[["path"]], tmp_path/"n.csv")


def test_check_names_every_bad_file(odd, tmp_path):
    names = list(BAD)+FINE
    t = pd.DataFrame([dict(path=str(odd/o), language="xx", speaker="s", emotion="anger") for o in names])
    report = check_manifest(write_manifest(t, tmp_path/"m.csv"))
    errors = report[report.level=="error"]
    assert [os.path.basename(o) for o in errors.path]==list(BAD)
    for name, problem in zip(BAD, errors.problem): assert BAD[name] in problem or BAD[name].split()[0] in problem
    assert "only one emotion" in " ".join(report.problem)
    assert not report.problem.str.contains(str(odd), regex=False).any()


def test_check_of_a_good_corpus(corpus):
    assert not len(check_manifest(corpus(clips=3)))
    assert "fewer than 5 clips of anger (2)" in check_manifest(corpus(emotions=("anger",), clips=1)).problem[0]


# -- recipes: names as in the original folders, and what they must become

TREES = {
    "emodb": ["wav/03a01Fa.wav", "wav/08a05La.wav", "wav/16b10Eb.wav", "lablaut/03a01Fa.lablaut"],
    "emovo": ["EMOVO/f1/dis-f1-b1.wav", "EMOVO/m3/tri-m3-n5.wav", "EMOVO/documents/readme.txt"],
    "casia": ["liuchanhg/angry/201.wav", "ZhaoZuoxiang/sad/250.wav"],
    "enterface": ["subject 1/anger/sentence 1/s1_an_1.wav", "subject 23/fear/sentence 2/s23_fe_2.wav", "subject 11/sadness/sentence 3/s12_sa_3.wav",
                  "subject 1/anger/sentence 1/s1_an_1.avi", "subject 6/anger/s6_an.wav"],
    "ravdess": ["Actor_01/03-01-01-01-01-01-01.wav", "Actor_02/03-01-03-02-02-02-02.wav", "Actor_02/03-02-03-02-02-02-02.wav"],
    "cremad": ["AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1040_ITH_SAD_X.wav", "VideoDemographics.csv"],
    "savee": ["AudioData/DC/a01.wav", "AudioData/KL/su15.wav", "AudioData/JE/sa02.wav"],
    "tess": ["OAF_angry/OAF_back_angry.wav", "YAF_pleasant_surprised/YAF_dog_ps.wav", "OAF_neutral/OA_bite_neutral.wav", "x/OAF_angry/OAF_back_angry.wav"],
    "nemo": ["samples/EB0_anger_1.wav", "samples/WR0_surprised_64.wav", "data.tsv"],
    "urdu": ["Angry/SM1_F10_A010.wav", "Neutral/SF9_F1_N01.wav"],
    "shemo": ["male/M01A01.wav", "female/F21W37.wav"],
    "aesdd": ["anger/a01 (1).wav", "fear/f18 (5).wav", "fear/f18 (5)b.wav"],
    "cafe": ["Colère/Faible/01-C-1-1.wav", "Neutre/02-N-1-6.wav", "Peur/Fort/12-P-2-3.aiff"],
    "esd": ["0001/Angry/0001_000351.wav", "0001/Neutral/train/0001_000001.wav", "0020/Surprise/test/0020_001421.wav", "0001/0001.txt", "README.wav"],
    "emotale": ["DK_004_A_5.wav", "EN_004_N_1.wav", "annotations.csv"],
    "ketts": ["1263201035/train/1263201035_neutral_17.wav", "399172782/eval/77_scared_4.wav", "399172782/eval/77_scared_4.txt"],
    "turev": ["Sound Source/Angry/1157_kz_acik.wav", "Sound Source/Calm/1234_sk_algi.wav", "Sound Source/Sad/7895_hl_ogul1.wav",
              "Model Output for Test Data/500/sound/Angry/1157_kz_beste.wav"],
    "banglaser": ["Actor_01/03-01-01-01-01-01-01.wav", "Actor_34/03-01-05-01-03-02-34.wav"],
    "subesco": ["F_01_OISHI_S_1_ANGRY_1.wav", "F_02_MONIKA_S_2_SURPRISE_3].wav", "M_01_RASEL_S_10_SURPRISE_5.wav"],
    "iemocap": ["Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav", "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav",
                "Session5/sentences/wav/Ses05M_script03_2/Ses05M_script03_2_M045.wav", "Session1/dialog/wav/Ses01F_impro01.wav"],
    "meld": ["train/train_splits/dia0_utt0.wav", "dev_splits_complete/dia0_utt0.wav", "output_repeated_splits_test/dia0_utt0.wav"],
    "msp": ["Audios/MSP-PODCAST_0001_0008.wav", "Audios/MSP-PODCAST_0002_0033.wav", "Audios/MSP-PODCAST_1904_0142_0001.wav"],
}
_MELD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season\n1,\"Oh, well\",{},{},x,0,0,8\n"
LISTS = {  # labels beside the sound
    "iemocap": {
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
            "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n"
            "[10.0100 - 11.3925]\tSes01F_impro01_M000\txxx\t[2.5, 2.5, 2.5]\n",
        "Session5/dialog/EmoEvaluation/Ses05M_script03_2.txt": "[1.0 - 2.0]\tSes05M_script03_2_M045\tfru\t[2.5, 2.5, 2.5]\n"},
    "meld": {"train/train_sent_emo.csv": _MELD.format("Chandler", "joy"), "dev_sent_emo.csv": _MELD.format("Joey", "anger"),
             "test_sent_emo.csv": _MELD.format("Phoebe", "sadness")},
    "msp": {"Labels/labels_consensus.csv": "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
            "MSP-PODCAST_0001_0008.wav,A,4,2,5,127,Male,Train\nMSP-PODCAST_0002_0033.wav,X,4,4,4,Unknown,Female,Train\n"},
}
WANT = {  # emotion, speaker, gender, text_id
    "emodb": ["happiness 03 m a01", "boredom 08 f a05", "disgust 16 f b10"],
    "emovo": ["disgust f1 f b1", "sadness m3 m n5"],
    "casia": ["sadness ZhaoZuoxiang m 250", "anger liuchanhg f 201"],
    "enterface": ["anger 1  anger1", "sadness 11  sadness3", "fear 23  fear2"],
    "ravdess": ["neutral 01 m 01", "happiness 02 f 02"],
    "cremad": ["anger 1001  DFA", "sadness 1040  ITH"],
    "savee": ["anger DC m a01", "sadness JE m sa02", "surprise KL m su15"],
    "tess": ["anger OA f back", "neutral OA f bite", "surprise YA f dog"],
    "nemo": ["anger EB0 f 1", "surprise WR0 m 64"],
    "urdu": ["anger SM1 m ", "neutral SF9 f "],
    "shemo": ["surprise F21 f ", "anger M01 m "],
    "aesdd": ["anger 1  01", "fear 5  18", "fear 5  18"],
    "cafe": ["anger 01 m 1", "neutral 02 f 6", "fear 12 f 3"],
    "esd": ["anger 0001  zh001", "neutral 0001  zh001", "surprise 0020  en021"],
    "emotale": ["anger 004  DK5", "neutral 004  EN1"],
    "ketts": ["neutral 1263201035  ", "fear 399172782  "],
    "turev": ["anger 1157  acik", "calm 1234  algi", "sadness 7895  ogul"],
    "banglaser": ["happiness 01 m 01", "neutral 34 f 03"],
    "subesco": ["anger F01 f 1", "surprise F02 f 2", "surprise M01 m 10"],
    "iemocap": ["neutral 01F f ", " 01M m ", "frustration 05M m "],
    "meld": ["anger Joey  ", "sadness Phoebe  ", "happiness Chandler  "],
    "msp": ["anger 127 m ", "  f ", "   "],
}


OWN = {"iemocap": ("", "excitement", "frustration"), "msp": ("", "contempt")}     # labels that the vocabulary has no word for


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(tmp_path, name):
    for o in TREES[name]+["__MACOSX/x.wav", f"._{os.path.basename(TREES[name][0])}"]:
        (tmp_path/name/o).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/name/o).touch()
    further_in = (tmp_path/name/TREES[name][0]).parent
    if name in LISTS:
        with pytest.raises(ManifestError, match="the labels of .* are not there"): make_manifest(name, tmp_path/name)
        further_in = tmp_path/name
    for o, text in LISTS.get(name, {}).items():
        (tmp_path/name/o).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path/name/o, text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ManifestWarning)
        t = make_manifest(name, tmp_path/name)
        # from a folder further in, too
        inner = make_manifest(name, further_in)
    assert [f"{r.emotion} {r.speaker.removeprefix(name+'_')} {r.gender} {r.text_id}" for r in t.itertuples()]==WANT[name]
    assert set(t.emotion)<={*EMOTIONS, *OWN.get(name, ())} and set(t.corpus)=={name}
    assert set(t.language)<={RECIPES[name].language, *RECIPES[name].languages.values()}
    assert t.licence.all() and t.source.str.startswith("http").all() and "key" not in t
    assert len(inner)>=1
    back = read_manifest(write_manifest(t, tmp_path/"m.csv"))
    assert list(back.path)==[os.path.relpath(o, tmp_path) for o in t.file] and list(back.emotion)==list(t.emotion)
    assert list(back.language)==list(t.language) and list(back.speaker)==list(t.speaker)


def test_every_recipe_is_told_apart_and_complete():
    assert set(TREES)==set(RECIPES)==set(WANT)
    for r in RECIPES.values():
        assert all((r.title, r.licence, r.url, r.cite, r.examples))
        assert set(r.emotions.values())<={*EMOTIONS, *OWN.get(r.name, ())}
        assert all(r.parse(o) for o in r.examples)


@pytest.mark.parametrize("name, text", [
    ("Labels/labels_concensus.csv", "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\nMSP-PODCAST_0001_0008.wav,A,4,2,5,127,Male,Train\n"),
    ("Labels/Labels/labels_consensus.csv", "FileName,EmoClass,SpkrID,Gender\nMSP-PODCAST_0001_0008.wav,A,127,Male\n")])
def test_lists_of_other_releases(tmp_path, name, text):
    for o in ("Audios/MSP-PODCAST_0001_0008.wav", name): (tmp_path/o).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path/"Audios/MSP-PODCAST_0001_0008.wav").touch()
    write(tmp_path/name, text)
    t = make_manifest("msp", tmp_path)
    assert [*t.emotion, *t.speaker]==["anger", "msp_127"]


def test_a_list_of_labels_that_is_another(tmp_path):
    (tmp_path/"Labels").mkdir()
    write(tmp_path/"Labels"/"labels_consensus.csv", "name,label\na.wav,A\n")
    with pytest.raises(ManifestError, match="needs the columns FileName, EmoClass"): make_manifest("msp", tmp_path)


def test_what_is_left_out_is_said(tmp_path):
    for o in TREES["enterface"]+["demo.wav"]:
        (tmp_path/o).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/o).touch()
    with pytest.warns(ManifestWarning) as said: make_manifest("enterface", tmp_path)
    said = " ".join(str(o.message) for o in said)
    assert "1 (whole sessions of subject 6" in said and "demo.wav" in said and "all of eNTERFACE'05 has 1287" in said


def test_wrong_folder(tmp_path):
    with pytest.raises(ManifestError, match="no such folder"): make_manifest("emodb", tmp_path/"no")
    with pytest.raises(ManifestError, match="found no sound file. Get it from"): make_manifest("emodb", tmp_path)
    (tmp_path/"a.wav").touch()
    with pytest.raises(ManifestError, match="found 1 sound files such as 'a.wav'"): make_manifest("emodb", tmp_path)
    with pytest.raises(ManifestError, match="no recipe 'EmoDB'"): make_manifest("EmoDB", tmp_path)


# -- folders as they lie on disks

def plant(folder, *names):
    for o in names:
        (folder/o).parent.mkdir(parents=True, exist_ok=True)
        (folder/o).touch()
    return folder


def foreign(folder, *names):
    """Files and folders (those end in /) whose names are bytes that are no UTF-8."""
    try:
        for o in names: os.mkdir(os.fsencode(folder)+b"/"+o) if o.endswith(b"/") else open(os.fsencode(folder)+b"/"+o, "w").close()
    except OSError: pytest.skip("this system has no such names")


def test_names_that_are_not_utf8(tmp_path):
    d = plant(tmp_path/"rec", "Colère/Faible/01-C-1-1.wav", "eva/a.wav")
    foreign(d, b"Col\xe8re/", b"Col\xe8re/01-C-1-2.wav", b"eva/\xff.wav")
    for make in (lambda: folder_manifest(d, "fr"), lambda: make_manifest("cafe", d)):
        t, said = said_of(make)
        assert any(r"Col\xe8re; rename them" in o and "left out" in o for o in said) and all(o.isprintable() for o in said)
        back, _ = said_of(lambda: read_manifest(write_manifest(t, tmp_path/"m.csv")))
        assert list(back.file)==list(t.file) and all(map(os.path.exists, t.file))
    only = tmp_path/"only"
    only.mkdir()
    foreign(only, b"\xe8/", b"\xe8/a.wav")
    for make in (lambda o: folder_manifest(o, "fr"), lambda o: make_manifest("cafe", o)):
        with pytest.raises(ManifestError, match=r"Left out: .*only/\\xe8; rename"): make(only)
        with pytest.raises(ManifestError, match=r"only/\\xe8: this name is not UTF-8"): make(os.fsdecode(os.fsencode(only)+b"/\xe8"))
    with pytest.raises(ManifestError, match="not UTF-8"): write_manifest(pd.DataFrame([dict(path=os.fsdecode(b"\xe8.wav"), language="fr")], dtype=object), tmp_path/"n.csv")
    assert not (tmp_path/"n.csv").exists() and not list(tmp_path.glob("*.tmp"))


def test_folder_that_cannot_be_opened(tmp_path):
    plant(tmp_path, "a/a.wav", "b/b.wav")
    os.chmod(tmp_path/"a", 0)
    if os.access(tmp_path/"a", os.R_OK): pytest.skip("root may open anything")
    t, said = said_of(lambda: folder_manifest(tmp_path, "de"))
    assert list(t.speaker)==["b"] and f"{tmp_path}/a" in said[0]
    os.chmod(tmp_path/"a", 0o755)


def test_links_are_followed_and_circles_end(tmp_path):
    plant(tmp_path, "disk/eva/a.wav", "disk/eva/more/b.wav", "rec/jan/c.wav", "beside/d.wav", "other/e.wav")
    for name, to in dict(spk1="../disk/eva", circle="..", self=".", jan2="jan", gone="nowhere", file="jan/c.wav").items(): os.symlink(to, tmp_path/"rec"/name)
    os.symlink("../../rec", tmp_path/"disk/eva/back")
    os.symlink("../../other", tmp_path/"disk/eva/on")
    t, said = said_of(lambda: folder_manifest(tmp_path/"rec", "de"))
    assert [os.path.relpath(o, tmp_path/"rec") for o in t.path]==["jan/c.wav", "spk1/a.wav", "spk1/more/b.wav", "spk1/on/e.wav"] and not said
    assert list(t.speaker)==["jan", "spk1", "spk1", "spk1"]
    os.symlink(tmp_path/"rec", tmp_path/"all")
    assert len(folder_manifest(tmp_path/"all", "de"))==4


@pytest.mark.parametrize("order", [("AudioMP3", "AudioWAV"), ("mp3", "wav"), ("z/MP3", "a/WAV")])
def test_the_take_that_lost_nothing(tmp_path, order):
    lossy, lossless = order
    plant(tmp_path, f"{lossy}/1001_DFA_ANG_XX.mp3", f"{lossless}/1001_DFA_ANG_XX.wav", f"{lossy}/1002_DFA_SAD_XX.mp3", f"{lossless}/1003_DFA_SAD_XX.flac", f"{lossy}/1003_DFA_SAD_XX.ogg")
    t, said = said_of(lambda: make_manifest("cremad", tmp_path))
    assert sorted(os.path.basename(o) for o in t.file)==["1001_DFA_ANG_XX.wav", "1002_DFA_SAD_XX.mp3", "1003_DFA_SAD_XX.flac"] and "2 (there twice)" in said[0]


def test_one_take_in_several_formats(tmp_path):
    plant(tmp_path, "a.wav", "a.mp3", "a.flac", "x/a.mp3", "x/b.MP3", "x/b.opus", "AudioMP3/c.mp3", "AudioWAV/c.wav", "1/d.wav", "2/d.wav", "2/d.WAV", "one.two.mp3", "one.three.wav")
    t, said = said_of(lambda: folder_manifest(tmp_path, "de"))
    assert sorted(os.path.relpath(o, tmp_path) for o in t.path)==sorted(["a.wav", "x/a.mp3", "x/b.opus", "AudioWAV/c.wav", "1/d.wav", "2/d.wav", "2/d.WAV", "one.two.mp3", "one.three.wav"])
    assert len(said)==1 and "left out 4 that are there in a better format, too, such as 'a.flac'" in said[0]


@pytest.mark.parametrize("language", ["", " "])
def test_a_manifest_needs_a_language(tmp_path, language):
    with pytest.raises(ManifestError, match="no language is given"): folder_manifest(plant(tmp_path, "a.wav"), language)


# -- shots

table = pd.DataFrame([dict(path=f"{e}/{s}/{i}.wav", language="x", speaker=s, emotion=e)
                      for e in ("anger", "fear", "") for s in "abcd" for i in range(1+3*(s=="a"))])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4), st.randoms(use_true_random=False))
def test_draw(seed, n, speakers, random):
    speakers = min(n, speakers)
    order = list(range(len(table)))
    random.shuffle(order)
    shuffled = table.iloc[order]
    mask = draw_shots(table, n, seed, min_speakers=speakers)
    got = table[mask]
    assert Counter(got.emotion)==dict(anger=n, fear=n)
    assert (got.groupby("emotion").speaker.nunique()>=speakers).all()
    assert set(got.path)==set(shuffled.path[draw_shots(shuffled, n, seed, min_speakers=speakers)])


def test_draw_is_fair():
    hits = sum(draw_shots(table, 1, s).astype(int) for s in range(700))
    anger = hits[table.emotion=="anger"]
    assert anger.sum()==700 and anger.min()>60 and anger.max()<140


@pytest.mark.parametrize("kw, says", [
    (dict(n=8), "emotion 'anger': 7 labelled clips, but 8"), (dict(n=0), "cannot draw 0"), (dict(n=2, min_speakers=3), "2 shots cannot"),
    (dict(min_speakers=5), "clips of 4 known speakers"), (dict(emotions=["joy"]), "emotion 'joy': 0"),
])
def test_draw_that_cannot_be(kw, says):
    with pytest.raises(ManifestError, match=says): draw_shots(table, **kw)
    with pytest.raises(ManifestError, match="no labelled clip"): draw_shots(table[table.emotion==""])
    with pytest.raises(ManifestError, match="no labelled clip"): draw_shots(table.drop(columns="emotion"))


def test_shared():
    a, b, c = (pd.DataFrame(dict(emotion=o)) for o in (["zeal", "fear", "anger"], ["anger", "zeal", "calm"], ["", ""]))
    assert shared_emotions(a, b)==["anger", "zeal"]
    assert shared_emotions(a, c)==shared_emotions(c, a)==["anger", "fear", "zeal"]
    assert shared_emotions(c, c)==[]


def test_sample_corpus_is_found_or_missed_in_words(tmp_path, monkeypatch):
    import sere_nb
    from sere_nb.corpora import data_samples
    monkeypatch.setattr(sere_nb, "__path__", [str(tmp_path/"sere_nb")])
    with pytest.raises(ManifestError, match="sample corpus is not there"): data_samples()
    for home in (tmp_path/"sere_nb/share/data_samples", tmp_path/"data_samples"):
        home.mkdir(parents=True)
        (home/"manifest.csv").touch()
        assert data_samples()==home


# -- lists that are none, or far too large

@pytest.mark.parametrize("text, says", [
    ("x"*3_000_000, "line 1: longer than a million"), ("path,language\n"+"x"*3_000_000, "line 2: longer than a million"),
    ('path,language\na.wav,de\n"'+"x"*3_000_000+'"\n', "line 3: longer than a million"),
    ('path,language\na.wav,"'+"x"*200_000+'"\n', "line 2: not CSV"),
    ("path,language,"+",".join(f"c{i}" for i in range(60_000))+"\n"+"a.wav,de\n"*3000, "60,002 columns, where 1,000 are the most"),
])
def test_huge_lists_are_refused_in_one_line(tmp_path, text, says):
    import tracemalloc
    write(tmp_path/"m.csv", text)
    tracemalloc.start()
    try:
        with pytest.raises(ManifestError) as e: read_manifest(tmp_path/"m.csv")
        most = tracemalloc.get_traced_memory()[1]
    finally: tracemalloc.stop()
    assert says in str(e.value) and "\n" not in str(e.value) and most<10**8
    assert list(check_manifest(tmp_path/"m.csv").level)==["error"]


@pytest.mark.parametrize("text", ["x"*3_000_000, "path\n"+"x"*3_000_000, "a"*200_000+"\0\n", "path,emotion\n\"a\n"+"b\n"*10])
def test_huge_lists_of_shots(tmp_path, corpus, capsys, text):
    from sere_nb.cli import main
    m = corpus(clips=2)
    write(tmp_path/"shots.csv", text)
    assert main(["run", "--source", str(m), "--target", str(m), "--shots-file", str(tmp_path/"shots.csv"), "--out", str(tmp_path/"o"), "-q"])==2
    err = [o for o in capsys.readouterr().err.splitlines() if "warning" not in o]
    assert len(err)==1 and "shots.csv" in err[0]
