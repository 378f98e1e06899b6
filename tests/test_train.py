"The objective by gradient: as low as the closed form, gone on with to the same bytes, foreign files stay, labels unread"
import copy, inspect

import numpy as np, pytest, torch

from sere_nb import rounds
from sere_nb.encoder import Stored
from sere_nb.evaluate import sere
from sere_nb.learner import SERE
from sere_nb.structure import LearnerError
from sere_nb.train import adopt, fit_adapter, rate_at, sere_adapter, settled, train
from sere_nb.tric import tric_of
from test_circumstances import clips, right, split


@pytest.fixture(scope='module')
def speech():
    emb = clips(seed=1, voices=3, words=3, noise=.4)
    return (*split(emb), emb[(emb.table.corpus == 'bb').to_numpy()])


@pytest.fixture(scope='module')
def begun(speech):
    s = SERE(seed=0, dims=4).begin(*speech[:2])
    s.step()
    assert set(s.effects_) == {'voices', 'words'} and not s.circumstances_
    return s


def start(s): return tric_of(s.structure, s.effects_, s.settings['variance']), rounds.tric_clips(s, s.prior_)


def same(a, b): return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


# -- how it falls

def test_rates_rise_once_and_fall():
    for epochs in (1, 5, 120, 1000):
        r = np.array([rate_at(e, epochs, 1.) for e in range(epochs)])
        assert (r > 0).all() and (r <= 1).all() and (np.diff(np.sign(np.diff(r))[np.diff(r) != 0]) <= 0).all()


def test_it_stops_where_little_falls_not_before():
    assert not settled([], 10, 1.) and not settled([5.]*10, 10, 1.) and settled([5.]*30, 10, 1e-9)
    assert not settled(np.linspace(9, 0, 30).tolist(), 10, .5) and not settled([5.]*30, 10, 0.)
    assert settled([5.]*20+[6.]*11, 10, .01)        # rising counts as not falling


def test_training_ends_as_low_as_rounds_do(speech, begun):
    closed = SERE(seed=0, dims=4).begin(*speech[:2])
    for _ in range(60): closed.step()
    t, c = start(begun)
    h = train(t, c, epochs=250, rate=.1, least=0.)
    assert h[0]['tric'] == pytest.approx(begun.history_[-1]['losses']['tric'], abs=1e-3)
    assert h[-1]['tric'] <= closed.history_[-1]['losses']['tric']+.02
    for e in h: assert e['tric'] == pytest.approx(sum(v for k, v in e.items() if k not in ('epoch', 'rate', 'tric')), abs=1e-4)


def test_batches_and_orders(begun):
    ends = []
    for seed in (0, 0, 1):
        t, c = start(begun)
        ends.append((t, train(t, c, epochs=60, batch=16, rate=.05, seed=seed, least=0.)[-1]['tric']))
    assert same(ends[0][0], ends[1][0]) and not same(ends[0][0], ends[2][0])
    t, c = start(begun)
    assert ends[2][1] == pytest.approx(train(t, c, epochs=250, rate=.1, least=0.)[-1]['tric'], abs=.5)


# -- checkpoints

class Stop(Exception): pass


def stops_after(epochs):
    "A reducer that fails when so many have been reported"
    left = [2*epochs+1]
    def reducer(parts):
        left[0] -= 1
        if not left[0]: raise Stop
        return sum(parts.values())
    return reducer


@pytest.mark.parametrize('batch', [None, 64])
@pytest.mark.parametrize('at', [7, 23])
def test_gone_on_with_it_ends_with_the_same_bytes(begun, tmp_path, batch, at):
    how = dict(epochs=30, batch=batch, least=0., every=5)
    (one, c), (two, _), (three, _) = start(begun), start(begun), start(begun)
    h = train(one, c, **how)
    two.reducer = stops_after(at)
    with pytest.raises(Stop): train(two, c, **how, checkpoint=tmp_path/'a.safetensors')
    assert not same(one, two)
    assert train(three, c, **how, checkpoint=tmp_path/'a.safetensors') == h and same(one, three)
    four, _ = start(begun)      # and once more: nothing is left to do
    train(four, c, **how, checkpoint=tmp_path/'a.safetensors')
    assert same(one, four)


def test_checkpoints_of_others_are_refused_and_stay(begun, tmp_path):
    t, c = start(begun)
    path = tmp_path/'a.safetensors'
    train(t, c, epochs=5, every=5, checkpoint=path)
    whole = path.read_bytes()
    for how in dict(epochs=6), dict(epochs=5, rate=.2), dict(epochs=5, seed=1), dict(epochs=5, batch=4), dict(epochs=5, decay=.1):
        with pytest.raises(LearnerError, match='other clips or settings'): train(start(begun)[0], c, **how, checkpoint=path)
    other = SERE(seed=0, dims=3).begin(*split(clips(seed=2, voices=2)))
    other.step()
    with pytest.raises(LearnerError, match='other clips or settings'): train(*start(other), epochs=5, checkpoint=path)
    assert path.read_bytes() == whole
    for data in whole[:50], whole[:-50], b'', b'{}', b'my diary':
        path.write_bytes(data)
        with pytest.raises(LearnerError, match='no checkpoint') as e: train(start(begun)[0], c, epochs=5, checkpoint=path)
        assert '\n' not in str(e.value) and path.read_bytes() == data


@pytest.mark.parametrize('how,says', [(dict(rate=-1.), 'rate is'), (dict(epochs=0), 'epochs is'), (dict(batch=.5), 'batch is'), (dict(patience='no'), 'patience is'),
                                      (dict(least=-1.), 'least is'), (dict(rate=900.), 'went astray'), (dict(every=0), 'every is')])
def test_settings_that_cannot_be(begun, how, says):
    with pytest.raises(LearnerError, match=says) as e: train(*start(begun), **how)
    assert '\n' not in str(e.value)


# -- a learner

@pytest.fixture(scope='module')
def trained(speech): return fit_adapter(SERE(seed=0, dims=8), *speech[:2])


def test_a_trained_learner_is_a_learner(speech, trained, tmp_path):
    shots, free, target = speech
    closed = SERE(seed=0, dims=8).fit(shots, free)
    assert trained.training_[-1]['tric'] <= min(closed.history_[-1]['losses']['tric']+1, trained.training_[0]['tric']-1)
    assert trained.history_[-1]['losses']['tric'] == pytest.approx(float(tric_of(trained.structure, trained.effects_, 3.)(rounds.tric_clips(trained, trained.prior_)).detach()), abs=1e-3)
    assert right(target, trained.predict(target)) > .9
    again = SERE.load(trained.save(tmp_path))
    assert np.allclose(again.predict_proba(target), trained.predict_proba(target), atol=1e-5)
    assert trained.resonance(target[:2])[0]['r'].shape[1] == 3 and list(trained.history_[-1]) == list(closed.history_[-1])


def test_no_label_is_read_and_nothing_is_drawn(speech, trained):
    shots, free, _ = speech
    blind = copy.copy(free)
    blind.table = free.table.assign(emotion='?')
    again = fit_adapter(SERE(seed=0, dims=8), shots, blind)
    assert torch.equal(again.history_[-1]['proba'], trained.history_[-1]['proba'])


def test_rounds_may_follow(speech, trained):
    s = copy.copy(trained)
    s.history_, s.effects_ = list(trained.history_), {k: copy.copy(e) for k, e in trained.effects_.items()}
    before = s.history_[-1]['losses']['tric']
    s.step()
    assert s.history_[-1]['losses']['tric'] <= before+1e-3 and len(trained.history_) == len(s.history_)-1


def test_clips_on_disk(speech, trained):
    shots, free, _ = speech
    s = fit_adapter(SERE(seed=0, dims=8), shots, Stored.of(free), batch=16, rate=.05)
    assert (s.predict() == trained.predict()).mean() > .9


def test_as_a_method(speech, trained):
    shots, free, target = speech
    p = sere_adapter(shots, free, seed=0, dims=8, proba=True)
    assert (p.to_numpy().argmax(1) == trained.history_[-1]['proba'][len(shots):].argmax(1).numpy()).all() and list(p) == list(trained.classes_)
    assert (sere_adapter(shots, free, seed=0, dims=8, new=target) == trained.predict(target)).all()
    mine, theirs = (inspect.signature(f).parameters for f in (sere_adapter, sere))
    assert list(mine) == list(theirs) and [o.default for o in mine.values()] == [o.default for o in theirs.values()]
