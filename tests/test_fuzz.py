"""Whatever is thrown at them: damaged files at the commands, odd numbers at the functions. A finite result of the promised shape, or one clear line.

`SERE_FUZZ=1000 pytest tests/test_fuzz.py` tries more numbers, `python tests/soak_audio.py` more files."""
import math, os, warnings
from types import SimpleNamespace

import numpy as np, pandas as pd, pytest, torch
from hypothesis import HealthCheck, given, settings, strategies as st

import soak_audio
from sere_nb import audio, corpora, encoder, irf, opening, structure, tric
from sere_nb.circumstances import Design, Effects, Said, SameWords, find_design
from sere_nb.encoder import Embeddings, Frames
from sere_nb.learner import SERE, SETTINGS
from sere_nb.structure import Circumstances, ContentRemover, Projection, Space, Standardiser, Structure

fuzz = settings(max_examples=int(os.environ.get("SERE_FUZZ", 50)), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


# -- files

@pytest.mark.skipif(not hasattr(soak_audio.os, "mkfifo"), reason="pipes and devices of Unix")
def test_hostile_files_through_the_commands():
    "The quick part of the soak; `python tests/soak_audio.py` has thousands"
    rows = list(soak_audio.soak(quick=True))
    assert [o["part"] for o in rows]==["audio: each file alone", "audio: sere check", "audio: sere embed", "audio: sere run"]
    assert all(o["cases"]>=soak_audio.QUICK for o in rows)
    assert not any(o["lost"] for o in rows), "\n".join(o["note"] for o in rows if o["lost"])


@pytest.mark.parametrize("ms, at", [(100, 0), (100, 1300), (101, 700), (120, 0), (150, 2100)])
def test_trimming_leaves_enough_for_an_encoder(tmp_path, ms, at):
    x = np.zeros(ms*16)
    x[at:at+300:2], x[at+1:at+300:2] = .6, -.6
    audio.sf.write(tmp_path/"a.wav", x, audio.SR)
    clip = audio.load_audio(tmp_path/"a.wav")
    assert audio.MIN_S*audio.SR<=len(clip.wave)<=len(x) and 0<=clip.start_s*audio.SR<=len(x)-len(clip.wave)


def test_a_flac_that_does_not_know_its_length(tmp_path):
    p = tmp_path/"streamed.flac"
    audio.sf.write(p, audio.toy_voice(1.5).numpy(), audio.SR)
    p.write_bytes(soak_audio.streaminfo(p.read_bytes(), total=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clips = [audio.load_audio(p, trim=False), audio.load_audio(p, None, trim=False)]
    assert audio.audio_info(p)[2:4]==(0, 0)
    for c in clips: assert 24000-64<=len(c.wave)<=24000 and c.file_s*audio.SR==len(c.wave)     # libsndfile cannot say when it is at the end


def test_a_clip_of_a_thousand_channels_is_cut_and_says_so(tmp_path):
    p = tmp_path/"many.wav"
    soak_audio.sparse(p, soak_audio.wav(np.random.default_rng(0).integers(-9999, 9999, 2**20).astype("<i2").tobytes(), 48000, 1024, size=600_000_000), 600_000_044)
    with pytest.warns(audio.AudioWarning, match="1024 channels at 48000 Hz are too much"): clip = audio.load_audio(p)
    assert audio.MIN_S*audio.SR<=len(clip.wave)<=.35*audio.SR
    with audio._open(p) as f: assert len(audio._decode(f, 40)[0])==2**24//1024


def test_one_clip_of_very_many_numbers_at_a_time(tmp_path, monkeypatch):
    "From its samples to 16 kHz: four threads that read hold one of them"
    many, few, held = tmp_path/"many.wav", tmp_path/"few.wav", []
    noise = np.random.default_rng(0).standard_normal((80000, 64)).astype("f4")/9
    audio.sf.write(many, noise, audio.SR)
    audio.sf.write(few, noise[:, :2], audio.SR)
    mixed = audio._mono_16k
    monkeypatch.setattr(audio, "_mono_16k", lambda *args: (held.append(audio._turn.locked()), mixed(*args))[1])
    for p in (many, few): audio.load_audio(p)
    assert held==[True, False] and not audio._turn.locked()


def test_a_clip_that_is_refused_keeps_no_samples(tmp_path):
    p = tmp_path/"nan.wav"
    audio.sf.write(p, np.full(16000, np.nan, "f4"), audio.SR, subtype="FLOAT")
    index = SimpleNamespace(key=lambda file: None)
    why = encoder._look(SimpleNamespace(index=index), p, encoder.load_encoder("acoustic").parts)
    assert "NaN" in str(why) and why.__traceback__ is None      # 64 of them wait their turn


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.m4a"])
@pytest.mark.parametrize("reads", [audio.load_audio, audio.audio_info])
def test_a_file_that_goes_away_while_it_is_read(name, reads, tmp_path, monkeypatch):
    "Every path that opens a name again: the sound that was read already, or one line"
    p = tmp_path/name
    audio.sf.write(p, audio.toy_voice(1.5).numpy(), audio.SR, format={"m4a": "WAV"}.get(name[2:]))
    def gone(given, at):
        def now(*args, **kwargs):
            p.unlink(missing_ok=True)
            return given(*args, **kwargs)
        monkeypatch.setattr(at, given.__name__, now)
    gone(audio._decode, audio)
    gone(opening._info, opening)
    if name=="a.m4a": monkeypatch.setattr(opening, "media_kind", lambda head: p.unlink() or "mp4")
    try: assert len(reads(p)[0:1])
    except audio.AudioError as e: assert "went away" in str(e) and "\n" not in str(e)


# -- functions

def clear(call):
    "What `call` gives, or None if it says in one line of ours that it cannot"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except ValueError as e:
        text = str(e)
        assert type(e).__module__.startswith("sere_nb.") and text and "\n" not in text and len(text)<400, repr(e)


def finite(x, *shape):
    x = torch.as_tensor(x)
    assert x.isfinite().all() and (not shape or tuple(x.shape)==shape), (x, x.shape, shape)


KINDS = ["usual"]*24+["zeros", "1e9", "1e-30", "1e-45", "constant", "equal rows"]*2+["nan", "inf", "one nan", "one -inf", "1e30", "3e38"]


def mostly(good, *odd):
    "`good` nine times in ten"
    n = len(odd)
    return st.integers(0, 10*n-1).flatmap(lambda i: st.just(odd[i]) if i<n else good if isinstance(good, st.SearchStrategy) else st.just(good))


@st.composite
def tensors(draw, *shape, dtypes=(torch.float32,)*24+(torch.float64, torch.float16, torch.int16, torch.int64, torch.bool), kinds=KINDS):
    "Numbers of that shape, usual or not"
    x = torch.randn(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    kind, at = draw(st.sampled_from(kinds)), draw(st.integers(0, max(0, x.numel()-1)))
    if kind in ("zeros", "constant", "nan", "inf"): x = torch.full_like(x, dict(zeros=0., constant=.3).get(kind, math.inf if kind=="inf" else math.nan))
    elif kind in ("one nan", "one -inf") and x.numel(): x.view(-1)[at] = math.nan if kind=="one nan" else -math.inf
    elif kind=="equal rows" and x.ndim: x = x[:1].expand_as(x).clone() if len(x) else x
    elif kind[0].isdigit(): x = x.sign()*float(kind) if kind=="3e38" else x*float(kind)
    dtype = draw(st.sampled_from(dtypes))
    return (x.nan_to_num(0., 1e4, -1e4).clamp(-3e4, 3e4) if not dtype.is_floating_point else x).to(dtype)


odd_numbers = st.sampled_from([0., -1., 1e-9, .5, 1., 3., 1e9, 1e300, math.inf, -math.inf, math.nan])
usual_numbers = mostly(st.sampled_from([.02, .1, .5, 1.]), 0., -1., 1e-9, 1e9, 1e300, math.inf, -math.inf, math.nan)
lengths = st.sampled_from([0, 1, 2, 7, 399, 400, 401, 1600, 4000])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e11, 3e38])
def test_one_odd_sample(value):
    wave = audio.toy_voice(.3)
    wave[77] = value
    for f in (audio.frame_db, audio.trim_edges, audio.level_db, audio.set_level, audio.audio_html, audio.plot_wave, lambda w: audio.to_mono_16k(w, 8000)):
        with pytest.raises(audio.AudioError, match="NaN, infinite or beyond"): f(wave)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_odd_frame_is_a_missing_one(value):
    x, at, measure = torch.randn(9, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(9, dtype=torch.long), Standardiser()
    rest = Standardiser()(x[1:], ["a"], at[1:])
    x[0] = value
    assert torch.allclose(measure(x, ["a"], at), torch.cat([torch.zeros(1, 2), rest]), atol=1e-6)
    assert all(v.isfinite().all() for v in measure.known["a"])


@fuzz
@given(st.data(), lengths, mostly(1, 0, 2, 3))
def test_waves(data, n, ndim):
    wave = data.draw(tensors(*{0: (), 1: (n,), 2: (n, 2), 3: (n, 1, 2)}[ndim]))
    good = ndim==1 and n>0 and wave.isfinite().all() and wave.double().abs().max()<=audio.LOUDEST
    x = clear(lambda: audio.frame_db(wave))
    assert (x is not None)==bool(good)
    if good:
        finite(x, 1+max(0, n-audio.FRAME)//audio.HOP)
        a, b = audio.trim_edges(wave)
        assert 0<=a<b<=n and math.isfinite(audio.level_db(wave))
        finite(audio.set_level(wave), n)
        assert audio.set_level(wave).abs().max()<=.991
        assert "<audio" in audio.audio_html(wave)
    else:
        for f in (audio.trim_edges, audio.level_db, audio.set_level, audio.audio_html, audio.plot_wave): assert clear(lambda: f(wave)) is None


@fuzz
@given(st.data(), lengths, st.sampled_from([1, 2, 2]), mostly(st.sampled_from([2000, 8001, 44100, 44100., 655350, 10**6]), -1, 0, 1, 999, 1999, 10**6+1, 2**31-1, 2**64, math.nan, math.inf))
def test_mono(data, n, ndim, rate):
    x = data.draw(tensors(*{1: (n,), 2: (n, data.draw(mostly(st.integers(1, 9), 0))), 3: (n, 1, 2)}[ndim]))
    x = data.draw(st.sampled_from([x, x.numpy(), x.tolist()]))
    y = clear(lambda: audio.to_mono_16k(x, rate))
    ok = ndim<3 and torch.as_tensor(x).numel() and torch.as_tensor(x).isfinite().all() and torch.as_tensor(x).double().abs().max()<=audio.LOUDEST and 2000<=rate<=10**6
    assert (y is not None)==bool(ok)
    if ok:
        finite(y)
        assert abs(len(y)-n*16000/rate)<=2 and y.dtype==torch.float32


@fuzz
@given(usual_numbers, st.one_of(usual_numbers, st.floats(-50, 300)))
def test_options_of_sounds(a, b):
    wave = audio.toy_voice(.3)
    for call in (lambda: audio.trim_edges(wave, a, b), lambda: audio.set_level(wave, a, b), lambda: audio.toy_voice(min(a, 5.), b)):
        x = clear(call)
        if isinstance(x, torch.Tensor): finite(x)
        elif x: assert 0<=x[0]<x[1]<=len(wave)
    clear(lambda: audio.audio_html(wave, max_s=a))
    with pytest.raises(audio.AudioError): audio.load_audio("nobody.wav", a)


@fuzz
@given(st.text(max_size=30).filter(lambda o: "/" not in o))
def test_names_of_files(tmp_path_factory, name):
    for f in (audio.load_audio, audio.audio_info):
        with pytest.raises(audio.AudioError): f(f"{tmp_path_factory.getbasetemp()}/no such folder/{name}")


# -- manifests

@fuzz
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda o: ("path,language,speaker,emotion\n"+o).encode("utf8", "replace")),
                 st.lists(st.lists(st.text(max_size=8), max_size=5), max_size=5).map(lambda rows: ("path,language,emotion\n"+"\n".join(",".join(r) for r in rows)).encode("utf8", "replace"))))
def test_any_bytes_as_a_manifest(tmp_path_factory, data):
    d = tmp_path_factory.mktemp("m")
    (d/"m.csv").write_bytes(data)
    table, report = clear(lambda: corpora.read_manifest(d/"m.csv")), corpora.check_manifest(d/"m.csv")
    assert set(report.level)<={"error", "warning"} and report.advice.map(bool).all()
    if table is None: assert list(report.level)==["error"]
    else:
        assert len(table) and not table.isna().any().any() and table.file.is_unique and set(table)>={"path", "file", "language", "speaker", "emotion", "corpus"}
        clear(lambda: corpora.draw_shots(table, 1))
        corpora.shared_emotions(table, table)


cells = st.one_of(st.none(), st.just(math.nan), st.text(max_size=5), st.sampled_from(["anger", "fear", ""]))


@fuzz
@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), cells, cells), max_size=8), mostly(st.integers(1, 2), -1, 0, 5), mostly(st.integers(0, 2**40), -1), mostly(1, -1, 2), mostly(None, [], ["anger"], ["anger", "anger"]))
def test_draws_from_any_table(rows, n, seed, speakers, emotions):
    table = pd.DataFrame(rows, columns=["path", "speaker", "emotion"])
    picked = clear(lambda: corpora.draw_shots(table, n, seed, emotions, speakers))
    if picked is not None:
        assert picked.shape==(len(rows),) and set(table.emotion[picked].value_counts())<={n} and picked.any()
        assert not table.emotion[picked].isna().any() and (table.emotion[picked]!="").all()
    shared = corpora.shared_emotions(table, table)
    assert all(isinstance(o, str) and o for o in shared) and len(set(shared))==len(shared)


# -- the method's parts

small = st.integers(1, 4)


@fuzz
@given(st.data(), st.integers(0, 9), small)
def test_standardising_and_clusters(data, n, d):
    x = data.draw(tensors(n, d, dtypes=(torch.float32,)))
    at = torch.arange(n)%2
    measure = Standardiser()
    z = clear(lambda: measure(x, ["a", "b"], at))
    finite(z, n, d)
    assert z.abs().max()<=8 if n else True
    assert all(v.isfinite().all() for g in measure.known.values() for v in g) or (x.abs()>1e10).any()
    finite(measure(x, ["a", "b"], at), n, d)
    k = data.draw(st.integers(-1, 5))
    centres = clear(lambda: structure.kmeans(x, k))
    if centres is not None:
        finite(centres, min(k, n), d)
        near = structure.nearest(x, centres)
        assert near.shape==(n,) and near.dtype==torch.int64
    y = clear(lambda: ContentRemover(k)(z, ["a", "b"], at))
    if y is not None: finite(y, n, d)
    clear(lambda: structure.nearest(x, data.draw(tensors(2, d+data.draw(st.integers(0, 1)), dtypes=(torch.float32,)))))
    clear(lambda: measure(x, ["a"], at*0+data.draw(st.integers(-1, 1))))


@fuzz
@given(st.data(), st.lists(st.integers(0, 12), min_size=1, max_size=5), small, usual_numbers)
def test_moments(data, counts, d, bin_s):
    x = data.draw(tensors(sum(counts), d, dtypes=(torch.float32,)))
    frames = Frames(x.half(), torch.tensor([0, *np.cumsum(counts)]), data.draw(mostly(.02, .01, 0., math.nan)))
    m = clear(lambda: structure.to_moments(x, frames, bin_s))
    assert clear(lambda: structure.to_moments(x[1:], frames, bin_s)) is None or not len(x)
    if m is None: return
    finite(m.mean, len(m.count), d); finite(m.square); assert m.count.sum()==len(x) and len(m.offsets)==len(counts)+1
    weights = data.draw(tensors(len(m.count)))
    pooled = clear(lambda: structure.pool(m, weights.abs() if weights.dtype!=torch.bool else weights.float()))
    if pooled is not None: finite(pooled, len(counts), 2*d)
    finite(structure.pool(m), len(counts), 2*d); finite(structure.contour(m), len(counts), 2*d)
    finite(structure.pool_parts(m), len(m.count), 2*d); finite(structure.contour_parts(m), len(m.count), 2*d)


@st.composite
def parts(draw, odd=True):
    "(x, share, cover, group) of some clips; one of them may be odd, or have one clip too few"
    v, n, D, k = draw(st.integers(1, 3)), draw(st.integers(0, 8)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    wrong = draw(mostly(None, 0, 1, 2, 3))
    size = [n-(i==wrong and n>0) for i in range(4)]
    some = lambda *s: draw(tensors(*s, dtypes=(torch.float32,)))
    share = some(size[1], k)
    if draw(st.booleans()): share = share.abs()
    return some(v, size[0], D), share, torch.rand(v, size[2], generator=torch.Generator().manual_seed(n))>.2, torch.arange(size[3])%2


@fuzz
@given(st.data(), parts())
def test_structures(data, given):
    x, share, cover, group = given
    (v, n, D), k = x.shape, share.shape[1]
    s = clear(lambda: Structure(v, D, k).fit(x, share.softmax(1), cover))
    if s is None: s = Structure(v, D, k)
    else: finite(s.adapter, v, D, D); finite(s.mean, v, k, D); finite(s.prototype, v, k, D); finite(s.log_det, v)
    for call, shape in ((lambda: s.nearness(x), (v, n, k)), (lambda: s.log_share(x, cover), (n, k)), (lambda: s.profile(x, cover), (n, v*k)), (lambda: s.landmarks(x, cover), (k, v*k)),
                        (lambda: s.embed(x), (v, n, D)), (lambda: s.resonance(x, cover), (n, k))):
        out = clear(call)
        if out is not None: finite(out, *shape)
    c = clear(lambda: Circumstances(3).fit(x, share.softmax(1), cover))
    if c is not None:
        out = clear(lambda: c(x, share.softmax(1), cover))
        if out is not None: finite(out, v, n, D)
        else: assert x.abs().max()>1e6
    e = clear(lambda: Effects(["a", "b"], data.draw(usual_numbers)).fit(x, group, share.softmax(1), cover, s.mean))
    if e is not None: finite(e.effect, v, 2, D); finite(e(group, cover), v, n, D)
    a, b, e = data.draw(usual_numbers), data.draw(usual_numbers), data.draw(odd_numbers)
    clear(lambda: Structure(v, D, k, a, b)); clear(lambda: Structure(v, D, k).fit(x, share.softmax(1), cover, data.draw(tensors(v, n, k, dtypes=(torch.float32,))))); clear(lambda: Projection(D, a, True)); clear(lambda: Structure(e, D, k))


@fuzz
@given(st.data(), st.lists(st.sampled_from(["anger", "fear", "zeal", ""]), max_size=5), usual_numbers)
def test_relations_of_anything(data, emotions, width):
    r = clear(lambda: structure.relations(emotions, width))
    if r is not None: finite(r, len(emotions), len(emotions))
    clear(lambda: irf.class_prior(data.draw(st.sampled_from([None, 3, [], "", "balanced", "estimate", {}, dict.fromkeys(emotions, 1.), {"de": dict.fromkeys(emotions, 0.)}, {"anger": math.nan}, {"anger": "x", "fear": 1}, {"anger": 1e38, "fear": 3e38}, {"de": None}])), sorted(set(emotions)), ["de"]))


@fuzz
@given(st.data(), st.integers(0, 12), st.integers(1, 4))
def test_fields(data, n, k):
    score, clip = data.draw(tensors(n)), data.draw(mostly(torch.arange(n)//3, torch.arange(n)//3-1, torch.arange(n), torch.zeros(n, dtype=torch.long), torch.zeros(n), torch.arange(n+1)))
    for call in (lambda: irf.softmax_by_clip(score, clip), lambda: irf.highlight_weights(score, clip, data.draw(usual_numbers))):
        a = clear(call)
        if a is not None: finite(a, n); assert torch.allclose(a.new_zeros(n+1).index_add(0, clip, a)[clip.unique()], a.new_ones(len(clip.unique())), atol=1e-2)
    heard = data.draw(mostly(None, torch.arange(n)%2>0, torch.arange(n+1)>0))
    spans = clear(lambda: irf.highlight_spans(score, clip, heard, (data.draw(usual_numbers), data.draw(st.integers(-1, 4)), data.draw(st.integers(-1, 9)))))
    if spans is not None: assert spans.shape==(len(clip.unique()), 2) and (spans[:, 0]>=0).all() and (spans[:, 0]<spans[:, 1]).all() and (spans[:, 1]<=torch.bincount(clip)).all()
    logits, prior = data.draw(tensors(n, k)), data.draw(tensors(k, dtypes=(torch.float32,)))
    o = clear(lambda: irf.balancing_offsets(logits, prior.abs()))
    if o is not None: finite(o, k)
    levels = [(data.draw(mostly(torch.arange(n)//3, torch.zeros(n, dtype=torch.long), torch.arange(n))), data.draw(usual_numbers)) for _ in range(data.draw(st.integers(0, 3)))]
    found = clear(lambda: irf.even_out(logits.float(), levels, prior.abs()))
    if found is not None: finite(found[0], n, k)


@fuzz
@given(st.data(), st.integers(0, 12), st.integers(1, 4))
def test_words_and_designs(data, n, d):
    "Whatever is said: groups have two clips at least, a design comes out or one clear line"
    x = data.draw(tensors(n, d*data.draw(mostly(10, 1)), dtypes=(torch.float32,)))
    voice = data.draw(mostly(torch.arange(n)%3, torch.arange(n)%3-1, torch.zeros(n, dtype=torch.long), torch.full((n,), -1)))
    said = clear(lambda: Said()(x, list("abc"), voice.clamp_min(0)))
    words = torch.full((n,), -1)
    if said is not None:
        finite(said, n, 200)
        same = SameWords(most=data.draw(st.integers(2, 12)))
        words = same.fit(said)
        assert words.shape==(n,) and same(said).shape==(n,)
        if len(said)<=same.most: assert (torch.bincount(words[words>=0])[words[words>=0].unique()]>1).all()
    design = clear(lambda: find_design(voice, words, data.draw(st.integers(1, 6))))
    assert design is None or isinstance(design, Design) and "\n" not in str(design)


@fuzz
@given(st.data(), st.integers(1, 3), st.integers(0, 4), st.integers(0, 4), st.integers(1, 3), st.integers(1, 3), usual_numbers)
def test_chains(data, v, n_l, n_u, D, k, t):
    unit = lambda *s: torch.nn.functional.normalize(x, dim=-1) if (x := data.draw(tensors(*s, D, dtypes=(torch.float32,)))).isfinite().all() and data.draw(st.booleans()) else x
    z_l, z_u, p = unit(v, n_l), unit(v, n_u+data.draw(mostly(0, 1))), unit(v, k)
    y = lambda n: torch.arange(n)%k+data.draw(mostly(0, 1, -1))
    c_l, c_u = (torch.rand(v, n, generator=torch.Generator().manual_seed(n))>.3 for n in (n_l, n_u))
    c_l = data.draw(st.sampled_from([c_l, c_l.float()]))
    for call in (lambda: tric.prototype_term(z_l, y(n_l), c_l, p, t), lambda: tric.contrast_term(z_l, y(n_l), c_l, z_u, y(n_u), c_u, t), lambda: tric.chain_term(z_l, y(n_l), c_l, z_u, c_u, t)):
        out = clear(call)
        if out is not None: finite(out)
    out = clear(lambda: tric.tric(z_l, y(n_l), c_l, z_u, y(n_u), c_u, p, t))
    if out is not None: assert all(o.isfinite() for o in out.values())
    share = data.draw(tensors(n_l, k))
    home = clear(lambda: tric.homecoming(z_l[0], share, data.draw(mostly(st.integers(1, 5), -1, 0)), t, data.draw(mostly(None, torch.arange(n_l), torch.arange(0), torch.tensor([99])))))
    if home is not None: finite(home, n_l)


# -- the learner

def some_clips(n=24, seed=0):
    g = torch.Generator().manual_seed(seed)
    table = pd.DataFrame(dict(path=[f"{i}.wav" for i in range(n)], language=["de", "it"]*(n//2), speaker="", corpus="", emotion=[("anger", "fear", "zeal")[i//2%3] for i in range(n)]))
    counts = torch.randint(5, 40, (n,), generator=g)
    frames = Frames((torch.randn(int(counts.sum()), 6, generator=g)+torch.repeat_interleave(torch.arange(n)//2%3, counts)[:, None]).half(), torch.tensor([0, *counts.cumsum(0).tolist()]), .02)
    return Embeddings(table, dict(acoustic=frames, prosody=Frames(torch.randn(n, 5, generator=g).half(), torch.arange(n+1), 0.)))


def all_finite(learner, clips, n):
    p = learner.predict_proba(clips)
    assert p.shape==(n, 3) and np.isfinite(p).all() and np.allclose(p.sum(1), 1, atol=1e-3)
    assert learner.predict(clips).shape==(n,)
    finite(learner.transform(clips)); h = learner.highlights(clips)
    assert len(h)==n and np.isfinite(h.to_numpy(float)).all()
    assert all(np.isfinite(o["r"]).all() and abs(o["weight"].sum()-1)<1e-2 for o in learner.resonance(clips))


@settings(fuzz, max_examples=30)
@given(data=st.data())
def test_learning_from_odd_frames(tmp_path_factory, data):
    emb, view = some_clips(), data.draw(st.sampled_from(["acoustic", "prosody"]))
    f = emb.views[view]
    at, column = data.draw(st.integers(0, len(f.values)-1)), data.draw(st.integers(0, f.values.shape[1]-1))
    what = data.draw(st.sampled_from([math.nan, math.inf, -math.inf, 65504., 6e-8, 0.]))
    match data.draw(st.sampled_from(["cell", "row", "column", "all", "rows too few", "view without frames", "no view"])):
        case "cell": f.values[at, column] = what
        case "row": f.values[at] = what
        case "column": f.values[:, column] = what
        case "all": f.values[:] = what
        case "rows too few":
            emb.views[view] = f.take(range(20))
            assert clear(lambda: Space().fit(emb)) is None
            return
        case "view without frames": emb.views[view] = Frames(f.values[:0], torch.zeros(len(emb)+1, dtype=torch.long), f.hop_s)
        case "no view": emb.views.clear()
    learner = clear(lambda: SERE(rounds=2, circumstances=4).fit(emb[:12], emb[12:]))
    if learner is not None:
        all_finite(learner, None, 24)
        new = clear(lambda: learner.predict_proba(emb[3:9]))
        if new is not None: assert np.isfinite(new).all()
        again = SERE.load(learner.save(tmp_path_factory.mktemp("odd")))       # nothing that is not a number is kept
        assert np.allclose(again.predict_proba(emb), learner.predict_proba(emb), atol=1e-5)


@pytest.mark.parametrize("wrong", [dict(rounds=-1), dict(rounds=2.), dict(rounds=True), dict(freedom=0), dict(freedom=math.nan), dict(variance=0), dict(balance=-1), dict(planned=3.), dict(planned=(1., 2.)), dict(planned=(1., 2., -3.)), dict(dims=0), dict(softness=2.), dict(softness=(1., 2., math.inf)),
                                   dict(contents=64), dict(contents=(64, 0)), dict(seed=-1), dict(seed=None), dict(even="x")])
def test_settings_that_no_fit_can_do(wrong):
    with pytest.raises(structure.LearnerError, match=rf"^{next(iter(wrong))}.* is .*, but should "): SERE(**wrong)
    if "seed" not in wrong:
        with pytest.raises(structure.LearnerError): SERE().change(**wrong)


@pytest.mark.parametrize("prior", [None, 3, [], {"anger": "x", "fear": 1}, {"anger": None, "fear": 1}, {"anger": math.nan, "fear": 1}, {"anger": 3e38, "fear": 3e38}, {"de": [1]}])
def test_priors_that_are_none(prior):
    with pytest.raises(structure.LearnerError, match="^prior"): irf.class_prior(prior, ["anger", "fear"], ["de"])


@settings(fuzz, max_examples=60)
@given(st.sampled_from([*SETTINGS, "seed"]), st.one_of(odd_numbers, st.sampled_from([0, 2, -3, 2**70, None, "x", (), (0,), (3,), (2.5,), True])))
def test_odd_settings(name, value):
    emb = some_clips()
    if name=="rounds" and value in (1e9,): value = 2
    learner = clear(lambda: SERE(**{"rounds": 2, name: value}).fit(emb[:12], emb[12:]))
    if learner is not None: all_finite(learner, None, 24)


@pytest.fixture(scope="module")
def fitted():
    emb = some_clips()
    return SERE(rounds=2).fit(emb[:12], emb[12:])


@fuzz
@given(st.one_of(st.lists(st.integers(-30, 30), max_size=4), st.sampled_from([[], [23, 0, 0], [24], [.5], "all", [True]*24, [True]*3, [[1, 2]], 5, math.nan, np.arange(3), np.array([], int), torch.tensor([-1])])))
def test_any_rows(fitted, rows):
    p = clear(lambda: fitted.predict_proba(rows))
    if p is not None: all_finite(fitted, rows, len(p))
    clear(lambda: fitted.predict(some_clips(4, 1), math.nan))
