"Shards: a node that is killed, work that is taken up again, files that cannot be read, places that are URIs, and other programs that open them"
import contextlib,json,os,sys,threading,time,warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch

pytest.importorskip('pyarrow')
import pyarrow as pa
import pyarrow.parquet as pq

from conftest import BAD,FINE,voice
from sere_nb import cluster, stores, workers
from sere_nb.audio import SR,AudioWarning
from sere_nb.cluster import *
from sere_nb.cli import main,prediction_table
from sere_nb.corpora import data_samples,draw_shots,read_manifest,write_manifest
from sere_nb.encoder import AcousticEncoder,Encoder,Embeddings,EncoderError,Stored,TransformerEncoder,embed
from sere_nb.learner import SERE

SAMPLES = read_manifest(data_samples()/'manifest.csv')
ITALIAN = SAMPLES[SAMPLES.language=='it'].reset_index(drop=True)
GERMAN = SAMPLES[SAMPLES.language=='de'].reset_index(drop=True)

def bits(x): return x.contiguous().view(torch.int16)

def assert_same(a, b, exact=True):
    "Two Embeddings hold the same: bit by bit, or but for the order in which a batch sums up"
    pd.testing.assert_frame_equal(a.table, b.table)
    pd.testing.assert_frame_equal(a.skipped, b.skipped)
    assert list(a.views)==list(b.views)
    for name,f in a.views.items():
        g = b.views[name]
        assert f.hop_s==g.hop_s and torch.equal(f.offsets, g.offsets)
        other = bits(f.values)!=bits(g.values)
        if exact: assert not other.any()
        else:
            x,y = f.values.float(),g.values.float()
            assert torch.equal(x.isnan(), y.isnan()) and ((x-y).nan_to_num(0.).abs()<=2**-10*y.nan_to_num(0.).abs()+1e-6).all()
            assert other.float().mean()<1e-4

def assert_line(e, *words):
    assert '\n' not in str(e.value), e.value
    for o in words: assert o in str(e.value), e.value

def shards(folder): return sorted(Path(folder,'embeddings').glob('*.parquet'))

def made(file): return json.loads(pq.read_metadata(file).metadata[b'made'])

# ---- two nodes ----

class Slow(Encoder):
    "The acoustic encoder, with a file that says when to be quick"
    name,views = 'slow',AcousticEncoder.views

    def __init__(self, gate): self.gate,self._own = str(gate),AcousticEncoder._own

    def _encode(self, waves): return AcousticEncoder('cpu')._encode(waves)

class Late(cluster._EncodeShard):
    "Takes its time between writing a shard and saying so, until that file is there"
    def __call__(self, i):
        said = super().__call__(i)
        if not os.path.exists(self.encoder.gate): time.sleep(1)
        return said

class Deadly:
    "Work that kills its worker, if it is number 1"
    name,advice = 'number {}'.format,'buy some.'

    def __call__(self, i):
        if i==1: os._exit(1)
        return i

class Wrong:
    def __init__(self, broken=0): self.broken = broken
    def __call__(self, i): raise EncoderError('no such thing here. Get one.') if not self.broken else 1/0

@pytest.fixture(scope='module')
def two_nodes():
    "A Ray cluster of two nodes with a core each, on this machine"
    ray = pytest.importorskip('ray')
    from ray import cloudpickle
    from ray.cluster_utils import Cluster
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    cloudpickle.register_pickle_by_value(sys.modules[__name__])     # the workers do not see this file
    small = dict(num_cpus=1, object_store_memory=100*2**20)
    # that a node is gone is noticed within a second
    quick = dict(health_check_initial_delay_ms=1000, health_check_period_ms=300, health_check_timeout_ms=1000, health_check_failure_threshold=3)
    nodes = Cluster()
    def node(**how):
        "Ray gives a node 30 s to come up, which is little where other work goes on"
        for left in (2,1,0):
            try: return nodes.add_node(**small, **how)
            except Exception as e:
                if not left or 'timed out during startup' not in str(e): raise
    node(include_dashboard=False, _system_config=quick)
    nodes.second = node()
    yield nodes
    if ray.is_initialized(): ray.shutdown()
    nodes.shutdown()

def test_killed_node(two_nodes, tmp_path, monkeypatch):
    "One of two nodes dies half-way, when it has written a shard and not yet said so: every row is there, and as on one machine"
    monkeypatch.setattr(cluster, '_EncodeShard', Late)
    table = pd.concat([SAMPLES[SAMPLES.language.isin(['it','zh'])][:160], SAMPLES[:1].assign(path='gone.ogg', file=str(tmp_path/'gone.ogg'))], ignore_index=True)
    encoder,second,result = Slow(tmp_path/'gate'),two_nodes.second.node_id,{}
    job = threading.Thread(target=lambda: result.update(table=encode_shards(table, encoder, tmp_path/'out', each=4, ray=two_nodes.address, workers=2, progress=False)), daemon=True)
    job.start()
    until = time.time()+120
    while job.is_alive() and time.time()<until:
        there = shards(tmp_path/'out')
        of_second = [o for o in there if made(o)['node']==second]
        if len(of_second)>=2 and len(there)-len(of_second)>=2: break    # both nodes are at work
        time.sleep(.1)
    assert job.is_alive() and len(of_second)>=2
    before = {o:o.stat().st_mtime_ns for o in shards(tmp_path/'out')}
    assert len(before)<41
    of_second = [o for o in before if made(o)['node']==second]
    two_nodes.remove_node(two_nodes.second, allow_graceful=False)
    (tmp_path/'gate').touch()
    job.join(120)
    assert not job.is_alive() and len(result['table'])==41==len(shards(tmp_path/'out'))
    assert {o:o.stat().st_mtime_ns for o in before}==before     # what was whole was not touched again
    nodes = [made(o)['node'] for o in shards(tmp_path/'out')]
    assert len(set(nodes))==2 and nodes.count(second)<=len(of_second)+1
    assert not list((tmp_path/'out').rglob('.*'))               # half shards of the dead are swept away
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', AudioWarning)
        alone = Embeddings.concat([embed(table[i:i+4], encoder, progress=False) for i in range(0,160,4)])
        whole = embed(table, encoder, progress=False)
    got = read_shards(tmp_path/'out')
    assert_same(got, whole, exact=False)
    assert_same(got, Embeddings(alone.table, alone.views, whole.skipped))
    assert got.skipped.path.tolist()==['gone.ogg'] and len(got)==160

def test_what_a_lost_worker_wrote_is_not_done_again(tmp_path):
    "It stays as it is for the job that wrote it, and is done again for another"
    encode_shards(ITALIAN[:2], 'acoustic', tmp_path, each=2, workers=0, progress=False)
    about,file = json.loads((tmp_path/'about.json').read_text()),shards(tmp_path)[0]
    first,when = made(file)['job'],file.stat().st_mtime_ns
    for job,again in ((first,False),('another',True)):
        worker = cluster._EncodeShard(str(tmp_path), about, {'':workers._light(AcousticEncoder('cpu'))}, job)
        assert worker(0)['clips']==2 and (file.stat().st_mtime_ns!=when)==again and made(file)['job']==job
    assert len(first)==32

def test_deadly_work(two_nodes, monkeypatch):
    "What takes each of its workers down is given up, and the rest is done"
    monkeypatch.setattr(workers, '_RETRIES', 0)
    done = []
    with pytest.raises(ClusterError) as e:
        for i,o in workers._spread([1,0], Deadly, (), two_nodes.address, 1): done.append(o)
    assert_line(e, '1 of 2 pieces of work took their workers down', 'the first: number 1', 'Memory may be short: buy some.')
    assert done==[0]

def test_wrong_on_a_worker(monkeypatch):
    "What a worker finds wrong is that one line here; a mistake of ours is all of its traceback"
    def passed(ray, items, work, args, n):
        said = workers._Actor(work, args, 1)(dict(item=np.array([json.dumps(o) for o in items], dtype=object)))
        yield from ((json.loads(i),json.loads(o)) for i,o in zip(said['item'], said['said']))
    monkeypatch.setattr(workers, '_pass', passed)
    monkeypatch.setattr(workers, '_session', lambda *args: contextlib.nullcontext(SimpleNamespace(exceptions=SimpleNamespace(RayError=OSError))))
    with pytest.raises(ClusterError) as e: list(workers._spread([0], Wrong, (), None, 1))
    assert_line(e, 'no such thing here. Get one.')
    with pytest.raises(RuntimeError, match='(?s)a worker failed.*ZeroDivisionError'): list(workers._spread([0], Wrong, (1,), None, 1))

def test_no_cluster():
    pytest.importorskip('ray')
    import ray
    if ray.is_initialized(): ray.shutdown()
    with pytest.raises(ClusterError) as e: list(workers._spread([0], Wrong, (), 'nowhere', None))
    assert_line(e, 'nowhere: no Ray cluster can be reached', 'ray start --head')

# ---- taking up again ----

def test_resume(tmp_path):
    "Only what is missing or damaged is computed again"
    out = tmp_path/'out'
    first = encode_shards(ITALIAN, 'acoustic', out, each=16, workers=0, progress=False)
    assert first.new.all() and first.clips.tolist()==[16]*7+[8]
    whole,files = read_shards(out),shards(out)
    (out/'embeddings'/'.00003.parquet.dead.tmp').write_text('half a shard')
    files[2].unlink()
    os.truncate(files[5], files[5].stat().st_size//2)
    files[6].write_bytes(b'')
    before = {o:o.stat().st_mtime_ns for o in files if o.exists()}
    with pytest.raises(ClusterError) as e: read_shards(out)
    assert_line(e, '3 of 8 shards are missing', '00002.parquet', 'again')
    second = encode_shards(ITALIAN, 'acoustic', out, each=16, workers=0, progress=False)
    assert second.index[second.new].tolist()==[2,5,6]
    assert {o for o,t in before.items() if o.stat().st_mtime_ns==t}==set(files)-{files[i] for i in (2,5,6)}
    assert_same(read_shards(out), whole)
    assert not list(out.rglob('.*'))

def test_shards_that_stay(tmp_path, monkeypatch):
    "Past a quarter of the budget shards are read when asked for: the same clips, the same answers, and no shard over and over"
    encode_shards(pd.concat([GERMAN, ITALIAN]), 'acoustic', tmp_path, each=32, workers=0, progress=False)
    whole,left = read_shards(tmp_path),read_shards(tmp_path, memory_gb=.001)
    assert isinstance(whole, Embeddings) and isinstance(left, Stored)
    assert_same(left.load(), whole)
    some = np.random.default_rng(0).permutation(len(whole))[:50]
    assert_same(left[some].load(), whole[some])
    assert_same(read_shards(tmp_path, corpus='samples-it', memory_gb=.001).load(), read_shards(tmp_path, corpus='samples-it'))
    times = []
    plain = cluster._read_table
    monkeypatch.setattr(cluster, '_read_table', lambda folder,name,rows: times.append(name) or plain(folder, name, rows))
    def fit(emb):
        shots = np.isin(emb.table.path, GERMAN[GERMAN.emotion.isin(['anger','sadness'])].groupby('emotion').path.head(5))
        return SERE(rounds=2, seed=0).fit(emb[np.flatnonzero(shots)], emb[np.flatnonzero(~shots)]).predict_proba(emb[np.flatnonzero(emb.table.language=='it')])
    stays,all_at_once = fit(left),fit(whole)      # vectors of 16 bits against 32, and how a processor multiplies them
    assert np.abs(stays-all_at_once).mean()<.02 and (stays.argmax(1)==all_at_once.argmax(1)).mean()>.95
    assert 8<=len(times)<=8*30

def test_damage_within(tmp_path):
    "A flipped byte in the middle does not pass as a number"
    encode_shards(ITALIAN[:8], 'acoustic', tmp_path, each=8, workers=0, progress=False)
    file, = shards(tmp_path)
    data = bytearray(file.read_bytes())
    data[len(data)//2] ^= 64
    file.write_bytes(data)
    with pytest.raises(ClusterError) as e: read_shards(tmp_path)
    assert_line(e, '00000.parquet is damaged', 'Remove it')

def test_refused(tmp_path):
    "What does not belong together is not mixed; whatever else is wrong is said in one line"
    go = lambda table=ITALIAN[:8], encoder='acoustic', out=tmp_path/'a', each=4, **kw: encode_shards(table, encoder, out, each=each, workers=0, progress=False, **kw)
    go()
    files = {o:o.read_bytes() for o in (tmp_path/'a').rglob('*') if o.is_file()}
    for how,words in [(dict(table=ITALIAN[:7]), ['another manifest','8 clips there, 7 here']), (dict(table=ITALIAN[:8].assign(speaker='x')), ['another manifest']),
                      (dict(encoder=Slow(tmp_path)), ['another encoder','slow']), (dict(each=5), ['another size']), (dict(each=0), ['at least 1']),
                      (dict(table=ITALIAN[:0]), ['no rows']), (dict(table=ITALIAN.assign(row=1)), ["column 'row'",'Rename']), (dict(table=ITALIAN.assign(prosody=1)), ["column 'prosody'"]),
                      (dict(out='nosuch://bucket/a'), ['nosuch://bucket/a: no such kind of place'])]:
        with pytest.raises(ClusterError) as e: go(**how)
        assert_line(e, *words)
    assert files=={o:o.read_bytes() for o in (tmp_path/'a').rglob('*') if o.is_file()}
    moved = ITALIAN[:8].assign(file='/elsewhere/'+ITALIAN.path[:8])
    assert not go(table=moved).new.any()        # the same manifest, its sound mounted elsewhere
    with pytest.raises(EncoderError) as e: go(encoder={'de':'acoustic'}, out=tmp_path/'b')
    assert_line(e, "language 'it'")
    with pytest.raises(ClusterError) as e: read_shards(tmp_path/'a', Slow(tmp_path))
    assert_line(e, 'Name the one it was made with')
    assert len(read_shards(tmp_path/'a', {'it':'acoustic','de':'acoustic'}))==8
    with pytest.raises(ClusterError) as e: read_shards(tmp_path)
    assert_line(e, 'no shards are there')
    about = json.loads((tmp_path/'a'/'about.json').read_text())
    (tmp_path/'a'/'about.json').write_text(json.dumps(dict(about, format=99)))
    with pytest.raises(ClusterError) as e: read_shards(tmp_path/'a')
    assert_line(e, 'version 99')
    (tmp_path/'a'/'about.json').unlink()        # the shards themselves say what they are of
    for how in (dict(table=ITALIAN[8:16]), dict(encoder=Slow(tmp_path)), dict(each=5)):
        with pytest.raises(ClusterError) as e: go(**how)
        assert_line(e, '00000.parquet is of another manifest or encoder')
        assert not (tmp_path/'a'/'about.json').exists()     # nothing was written
    (tmp_path/'file').touch()
    with pytest.raises(ClusterError) as e: go(out=tmp_path/'file'/'a')
    assert_line(e, 'cannot be written')

# ---- sound as people have it ----

def test_odd_files(odd, tmp_path):
    "Each file is a row: with its frames, or with the reason why not"
    names = [*BAD,*FINE]
    table = pd.DataFrame(dict(path=names, file=[str(odd/o) for o in names], language='xx'))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', AudioWarning)
        whole = embed(table, 'acoustic', progress=False)
    made = encode_shards(table, 'acoustic', tmp_path, each=6, workers=0, progress=False)    # the first two shards hold nothing but bad ones
    assert made.errors.sum()==len(BAD) and made.errors[:2].tolist()==[6,6] and made.clips.sum()==len(names)
    rows = pd.read_parquet(tmp_path/'embeddings')
    assert rows.row.tolist()==list(range(len(names))) and rows.path.tolist()==names
    for name,error,key,acoustic in zip(rows.path, rows.error, rows.key, rows.acoustic):
        if name in BAD: assert BAD[name] in error and str(odd/name) in error and acoustic is None and pd.isna(key)
        else: assert pd.isna(error) and len(acoustic)%24==0 and len(acoustic)
    assert 'damaged after' in rows.set_index('path').warning['broken.flac'] and rows.warning.notna().sum()==1
    assert_same(read_shards(tmp_path), whole, exact=False)

def test_nothing_but_errors(tmp_path):
    "A folder that was not mounted is made good later"
    table = pd.DataFrame(dict(path=['a.wav','b.wav','c.wav'], file=[str(tmp_path/'sound'/f'{o}.wav') for o in 'abc'], language='xx'))
    go = lambda **kw: encode_shards(table, 'acoustic', tmp_path/'out', each=2, workers=0, progress=False, **kw)
    assert go().errors.tolist()==[2,1]
    nothing = read_shards(tmp_path/'out')
    assert len(nothing)==0 and nothing.skipped.path.tolist()==['a.wav','b.wav','c.wav']
    (tmp_path/'sound').mkdir()
    for o in 'ab': sf.write(tmp_path/'sound'/f'{o}.wav', voice(.5), SR)
    assert not go().new.any()
    assert go(again=True).errors.tolist()==[0,1]
    sf.write(tmp_path/'sound'/'c.wav', voice(.5), SR)
    second = go(again=True)
    assert second.new.tolist()==[False,True] and second.errors.sum()==0

def test_uris(tmp_path):
    "Sound and shards behind URIs give the same rows"
    odd = tmp_path/'a b%20ü'
    odd.mkdir()
    names = ['one.wav','two#3.ogg','x.wav','broken.flac']
    sf.write(odd/'one.wav', voice(.5), SR)
    sf.write(odd/'two#3.ogg', voice(.6), SR, format='OGG', subtype='VORBIS')
    sf.write(odd/'whole.flac', voice(1.), SR)
    (odd/'broken.flac').write_bytes((odd/'whole.flac').read_bytes()[:int(.7*(odd/'whole.flac').stat().st_size)])
    table = pd.DataFrame(dict(path=[(odd/o).as_uri().replace('%23','#') for o in names]+['nosuch://x/a.wav'], language='xx'))
    encode_shards(table, 'acoustic', (tmp_path/'out').as_uri(), each=3, workers=0, progress=False)
    got = read_shards((tmp_path/'out').as_uri())
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', AudioWarning)
        whole = embed(pd.DataFrame(dict(path=names, file=[str(odd/o) for o in names], language='xx')), 'acoustic', progress=False)
    assert got.table.key.tolist()==whole.table.key.tolist() and got.table.file.tolist()==got.table.path.tolist()
    assert torch.equal(got.views['prosody'].values, whole.views['prosody'].values)
    why = dict(zip(got.skipped.path, got.skipped.why))
    assert len(why)==2 and all(w.startswith(f'{p}: cannot be fetched') and '\n' not in w for p,w in why.items())
    warning = pd.read_parquet(tmp_path/'out'/'embeddings').warning[3]
    assert warning.startswith(table.path[3]) and 'damaged after' in warning

# ---- encoders ----

@pytest.fixture(scope='module')
def whisper(tmp_path_factory):
    "A tiny Whisper with random weights, whose name has a dot"
    from transformers import WhisperConfig,WhisperModel
    folder = tmp_path_factory.mktemp('models')/'tiny.whisper'
    torch.manual_seed(0)
    WhisperModel(WhisperConfig(d_model=24, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32,
        vocab_size=12, pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0)).encoder.save_pretrained(folder)
    return folder

def test_encoder_per_language(whisper, tmp_path):
    "Views that some clips lack; and shards whose clips all lack them"
    table = pd.concat([SAMPLES[SAMPLES.language=='de'][:6], ITALIAN[:6]], ignore_index=True)
    encoders = {'de':str(whisper)+'+acoustic', 'it':'acoustic'}
    encode_shards(table, encoders, tmp_path, each=4, workers=0, progress=False)
    got = read_shards(tmp_path, encoders)
    assert set(got.views)=={'tiny.whisper.1','tiny.whisper.said','acoustic','prosody'}
    parts = Embeddings.concat([embed(table[i:i+4], encoders, progress=False) for i in (0,4,8)])
    assert_same(got, parts)
    assert (got.views['tiny.whisper.1'].lengths[6:]==0).all()
    columns = [set(pq.read_schema(o).names) for o in shards(tmp_path)]
    assert columns[0]==columns[1]==columns[2]       # one table, whatever a shard happens to hold
    assert len(pd.read_parquet(tmp_path/'embeddings'))==12

def test_sent_encoder(whisper, tmp_path, monkeypatch):
    "What arrives on another machine is the same encoder, or is refused"
    import pickle,shutil
    encoder = TransformerEncoder(whisper, layers=[1], dtype='float32', device='cpu')
    waves = [torch.tensor(voice(.5))]
    before = encoder.encode(waves)
    sent = pickle.dumps(workers._light(encoder))
    assert len(sent)<20_000 and 'model' in encoder.__dict__         # no weights in it, and none taken from the sender
    there = workers._here(pickle.loads(sent), {})
    assert there.key==encoder.key and torch.equal(there.encode(waves)[0]['tiny.whisper.1'], before[0]['tiny.whisper.1'])
    monkeypatch.chdir(whisper.parent)       # a relative folder is meant from where the job was started
    near = pickle.dumps(workers._light(TransformerEncoder('tiny.whisper', layers=[1], dtype='float32')))
    monkeypatch.chdir('/')
    assert workers._here(pickle.loads(near), {}).key==encoder.key
    config = json.loads((whisper/'config.json').read_text())
    changed = shutil.copytree(whisper, tmp_path/'tiny.whisper')
    part, = pickle.loads(sent)
    part.spec = str(changed)
    (changed/'config.json').write_text(json.dumps(dict(config, remark='another')))
    with pytest.raises(EncoderError) as e: workers._here([part], {})
    assert_line(e, 'another model')

# ---- other programs ----

@pytest.fixture(scope='module')
def stored(tmp_path_factory):
    out = tmp_path_factory.mktemp('stored')
    encode_shards(ITALIAN[:10].assign(file=[*ITALIAN.file[:9],'/gone.ogg']), 'acoustic', out, each=4, workers=0, progress=False)
    return out,read_shards(out)

def test_arrow_there_and_back(stored, tmp_path):
    emb = stored[1]
    assert_same(from_arrow(to_arrow(emb)), emb)
    pq.write_table(to_arrow(emb), tmp_path/'a.parquet')
    assert_same(from_arrow(pq.read_table(tmp_path/'a.parquet')), emb)
    some = emb[[4,1,7]]
    assert_same(from_arrow(to_arrow(some)), some)
    assert_same(from_arrow(to_arrow(emb[2:5])), emb[2:5])
    mean = np.stack(to_arrow(emb)['acoustic_mean'].slice(0, 9).to_pylist())
    expected = np.stack([np.nanmean(emb.views['acoustic'][i].float().numpy(), 0) for i in range(9)])
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-5)

def check_rows(paths, errors, values, emb):
    "What another program read is what we have"
    assert list(paths)==ITALIAN.path[:10].tolist()
    assert [bool(isinstance(o, str) and o) for o in errors]==[False]*9+[True]
    for i in range(9):
        x = np.asarray(values[i], dtype=np.float32).reshape(-1,24)
        np.testing.assert_array_equal(x, emb.views['acoustic'][i].float().numpy())

def test_pandas(stored):
    t = pd.read_parquet(stored[0]/'embeddings')
    check_rows(t.path, t.error, t.acoustic, stored[1])

def test_polars(stored):
    polars = pytest.importorskip('polars')
    t = polars.read_parquet(stored[0]/'embeddings')
    check_rows(t['path'].to_list(), t['error'].to_list(), t['acoustic'].to_list(), stored[1])

def test_duckdb(stored):
    duckdb = pytest.importorskip('duckdb')
    t = duckdb.sql(f"select path, error, acoustic from '{stored[0]}/embeddings/*.parquet' order by row").fetchall()
    check_rows(*zip(*t), stored[1])

def test_datasets(stored, tmp_path, monkeypatch):
    monkeypatch.setenv('HF_DATASETS_OFFLINE', '1')
    datasets = pytest.importorskip('datasets')
    t = datasets.load_dataset('parquet', data_dir=str(stored[0]/'embeddings'), split='train', cache_dir=str(tmp_path))
    check_rows(t['path'], t['error'], t['acoustic'], stored[1])

# ---- scores ----

@pytest.fixture(scope='module')
def scored(tmp_path_factory):
    "Four mixed corpora, one of them half known to the model, and two models"
    folder = tmp_path_factory.mktemp('scored')
    some = SAMPLES[SAMPLES.language!='de'].drop(SAMPLES.index[SAMPLES.language=='sw'][50:])
    table = some.sample(frac=1, random_state=1).reset_index(drop=True)      # corpora lie across all shards
    german,half = (embed(t, 'acoustic', progress=False) for t in (SAMPLES[SAMPLES.language=='de'], ITALIAN[:60]))
    for seed in (0,1): SERE(seed=seed).fit(german[draw_shots(german.table, n=5, seed=seed)], half).save(folder/f'model{seed}')
    encode_shards(table, 'acoustic', folder/'out', each=32, workers=0, progress=False)
    return folder

NUMBERS = ['resonance','highlight_start_s','highlight_end_s']

def test_scores_are_those_of_one_machine(scored):
    "Predictions depend on what is measured together; a corpus at a time gives what all clips at once give"
    done = score_shards(scored/'out', scored/'model0', workers=0, progress=False)
    assert done.clips.sum()==410 and done.new.all() and done.corpus.tolist()==[f'samples-{o}' for o in ('en','it','sw','zh')]
    clips,model = read_shards(scored/'out'),SERE.load(scored/'model0')
    assert len(set(clips.table.speaker[clips.table.corpus=='samples-it'])-{'it_s1','it_s2'})==2     # 60 clips of voices that are new to it
    expected = prediction_table(model, clips)
    got = pd.read_parquet(scored/'out'/'predictions').set_index('path').loc[expected.path].reset_index()
    assert got.columns.tolist()==expected.columns.tolist() and got.emotion.tolist()==expected.emotion.tolist()
    p = [o for o in got if o.startswith('p_')]
    np.testing.assert_allclose(got[p+NUMBERS], expected[p+NUMBERS], atol=5e-4)     # the order of clips alone, summed otherwise, moves shares by 1e-4
    by_shard = np.concatenate([model.predict_proba(clips[i:i+32]) for i in range(0,len(clips),32)])
    assert abs(by_shard-expected[p].to_numpy()).max()>.1        # so it does matter

def test_scores_again(scored, monkeypatch):
    "What is there is kept; another model's words replace them, all of them"
    files = lambda: {o.name:o.stat().st_mtime_ns for o in (scored/'out'/'predictions').iterdir()}
    score_shards(scored/'out', scored/'model0', workers=0, progress=False)
    before = files()
    (scored/'out'/'predictions'/'00001.parquet').unlink()
    second = score_shards(scored/'out', scored/'model0', workers=0, progress=False)
    assert second.new.tolist()==[False,True,False,False]
    assert {k for k,v in files().items() if before[k]!=v}=={'00001.parquet'}
    first = pd.read_parquet(scored/'out'/'predictions')
    assert score_shards(scored/'out', scored/'model1', workers=0, progress=False).new.all()
    assert not pd.read_parquet(scored/'out'/'predictions').p_anger.equals(first.p_anger)
    said,whole = [],cluster._predictions
    def stop(learner, emb):
        if said: raise KeyboardInterrupt
        said.append(1)
        return whole(learner, emb)
    with monkeypatch.context() as m:
        m.setattr(cluster, '_predictions', stop)
        with pytest.raises(KeyboardInterrupt): score_shards(scored/'out', scored/'model0', workers=0, progress=False)
    assert list(files())==['00000.parquet']     # stopped half-way: no words of the other model beside the new ones
    assert score_shards(scored/'out', scored/'model0', workers=0, progress=False).new.tolist()==[False,True,True,True]
    assert pd.read_parquet(scored/'out'/'predictions').equals(first)

def test_score_without_clips(scored, tmp_path):
    "A corpus without a usable clip, and shards that are not complete"
    table = pd.concat([ITALIAN[:6], ITALIAN[6:8].assign(corpus='lost', file='/gone.ogg')], ignore_index=True)
    encode_shards(table, 'acoustic', tmp_path, each=4, workers=0, progress=False)
    done = score_shards(tmp_path, scored/'model0', workers=0, progress=False)
    assert dict(zip(done.corpus, done.clips))=={'lost':0,'samples-it':6}
    assert pd.read_parquet(tmp_path/'predictions').path.tolist()==ITALIAN.path[:6].tolist()
    shards(tmp_path)[1].unlink()
    with pytest.raises(ClusterError) as e: score_shards(tmp_path, scored/'model0', workers=0)
    assert_line(e, '1 of 2 shards are missing')

# ---- the command ----

@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('SERE_CACHE', str(tmp_path/'cache'))
    def run(*args):
        status = main([str(o) for o in args])
        said = capsys.readouterr()
        return status,said.out,said.err
    return run

def test_command(run, scored, tmp_path):
    "`sere shards` encodes, scores and goes on; `sere run` takes what it left"
    from sere_nb.cli import write_encoders
    model = tmp_path/'model'
    SERE.load(scored/'model0').save(model)
    acoustic = AcousticEncoder()
    write_encoders(model, {'it':'acoustic'}, {'it':acoustic})
    write_manifest(ITALIAN[:60], tmp_path/'it.csv')
    write_manifest(SAMPLES[SAMPLES.language=='de'], tmp_path/'de.csv')
    out = tmp_path/'out'
    status,said,_ = run('shards', '--manifest', tmp_path/'it.csv', '--out', out, '--each', 25, '--workers', 0, '-q')
    assert status==0 and '60 clips in 3 shards, 3 of them made now.' in said
    shards(out)[1].unlink()
    status,said,_ = run('shards', '--manifest', tmp_path/'it.csv', '--out', out, '--each', 25, '--workers', 0, '--model', model, '-q')
    assert status==0 and '60 clips in 3 shards, 1 of them made now.' in said and '60 clips of 1 corpus named.' in said
    status,_,_ = run('predict', '--manifest', tmp_path/'it.csv', '--model', model, '--out', tmp_path/'p.csv', '-q')
    a,b = pd.read_csv(tmp_path/'p.csv'),pd.read_parquet(out/'predictions')
    assert status==0 and a.columns.tolist()==b.columns.tolist() and a.emotion.tolist()==b.emotion.tolist()
    results = []
    for target in (out,tmp_path/'it.csv'):
        status,_,err = run('run', '--source', tmp_path/'de.csv', '--target', target, '--map', 'pca', '--audio-mb', 0, '--out', tmp_path/'results', '-q')
        assert status==0, err
        results.append(pd.read_csv(tmp_path/'results'/'predictions.csv'))
    assert results[0].emotion.tolist()==results[1].emotion.tolist() and results[0].path.tolist()==results[1].path.tolist()
    for extra,words in [(['--each',30], 'another size'), (['--model',tmp_path/'nosuch'], 'no saved SERE'), (['--encoder','./nosuch'], 'no such folder')]:
        status,_,err = run('shards', '--manifest', tmp_path/'it.csv', '--out', out, '--each', 25, '--workers', 0, '-q', *extra)
        assert status==2 and err.count('\n')==1 and words in err, err

def test_stopped_command(run, tmp_path, monkeypatch):
    def stop(*args, **kw): raise KeyboardInterrupt
    monkeypatch.setattr(cluster, 'encode_rows', stop)
    write_manifest(ITALIAN[:4], tmp_path/'it.csv')
    status,_,err = run('shards', '--manifest', tmp_path/'it.csv', '--out', tmp_path/'out', '--workers', 0, '-q')
    assert status==130 and f"What was encoded stays in {tmp_path/'out'}; the same command goes on" in err

@pytest.mark.parametrize('lacking,command', [('pyarrow',['--workers','0']), ('ray',[])])
def test_extra_not_installed(lacking, command, tmp_path):
    "One line says what to install"
    import subprocess
    write_manifest(ITALIAN[:4], tmp_path/'it.csv')
    code = f"import sys; sys.modules[{lacking!r}] = None; from sere_nb.cli import main; sys.exit(main(['shards','--manifest','it.csv','--out','out','-q',*{command}]))"
    p = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True)
    assert p.returncode==2 and p.stderr.count('\n')==1 and "pip install 'sere_nb[cluster]'" in p.stderr, p.stderr

# ---- folders and places that would end the process, or fill the machine ----

def crafted(folder, rows, claims, path):
    "A manifest.parquet in which one row stands `rows` times, with its seal; about.json claims so many clips"
    from sere_nb.shards import _seal
    file = folder/'manifest.parquet'
    first = pq.ParquetFile(file).read().slice(0, 1)
    def column(o):
        v = first[o.name][0].as_py()
        if o.name=='row': return pa.array(np.zeros(rows, np.int64))
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([path if o.name=='path' else v]))
    table = pa.table([column(o) for o in first.schema], names=first.schema.names)
    with pq.ParquetWriter(file, table.schema, store_schema=False, compression='zstd') as w:
        w.write_table(table)
        w.add_key_value_metadata({'footer_crc32':'0'*8})
    data = bytearray(file.read_bytes())
    start = len(data)-8-int.from_bytes(data[-8:-4], 'little')
    at,seal = _seal(bytes(data[start:]))
    data[start+at:start+at+8] = seal
    file.write_bytes(data)
    about = json.loads((folder/'about.json').read_text())
    (folder/'about.json').write_text(json.dumps(about|dict(clips=claims, shards=-(-claims//about['each']))))

@pytest.mark.parametrize('rows, claims, path, says', [
    (400_000, 4, 'a.wav', '400,000 rows, where there can be 4'),
    (4, 3*10**8, 'a.wav', '300,000,000 clips; more than 10,000,000'),
    (400_000, 400_000, 'a.wav', '400,000 rows in a file of'),
    (100_000, 100_000, 'x'*20_000, 'MB of text'),
])
def test_a_manifest_is_refused_before_it_is_read(tmp_path, monkeypatch, rows, claims, path, says):
    encode_shards(GERMAN[:4], 'acoustic', tmp_path/'s', workers=0, progress=False)
    crafted(tmp_path/'s', rows, claims, path)
    before = pa.total_allocated_bytes()
    with pytest.raises(ClusterError) as e: shard_manifest(tmp_path/'s')
    assert says in str(e.value) and '\n' not in str(e.value) and pa.total_allocated_bytes()-before<2**28

def test_a_store_that_ends_the_process(tmp_path, monkeypatch):
    "As Azure's library does where nobody is logged in: one line for the file, and the others are encoded"
    monkeypatch.setattr(stores, '_PROBE', "import os,sys; print('  what():  no token', file=sys.stderr, flush=True); os.abort()")
    stores._fatal.cache_clear()
    table = GERMAN[:3].copy()
    table.loc[1,['path','file']] = 'abfs://c@a/x.wav'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        encode_shards(table, 'acoustic', tmp_path/'s', workers=0, progress=False)
    got = read_shards(tmp_path/'s')
    assert len(got)==2 and list(got.skipped.path)==['abfs://c@a/x.wav'] and 'no token' in got.skipped.why[0]
    with pytest.raises(ClusterError, match='no token'): encode_shards(GERMAN[:3], 'acoustic', 'abfs://c@a/out', workers=0, progress=False)
    stores._fatal.cache_clear()


@pytest.mark.parametrize("failures, address, says", [(1, None, None), (2, None, "Try again when the machine has less to do"), (1, "ray://a", "Ray does not start")])
def test_a_ray_that_does_not_come_up_in_time(failures, address, says):
    "Tried once more where it is our own; else one line. Ray says so with a bare Exception"
    left, shut = [Exception("The current node timed out during startup.")]*failures, []
    def init(*args, **how):
        if left: raise left.pop()
    ray = SimpleNamespace(init=init, shutdown=lambda: shut.append(1))
    if says:
        with pytest.raises(workers.ClusterError, match=says): workers._start_ray(ray, address, 1)
    else: workers._start_ray(ray, address, 1)
    assert len(shut) == (address is None) and "RAY_BACKEND_LOG_LEVEL" not in os.environ
