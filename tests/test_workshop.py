"The course: the learners' version fails at its checks and nowhere else, and says what is wrong"
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from browser import browser, complaints, needs_browser, until
from sere_nb.cli import course, course_notebook, main, slides
from sere_nb.corpora import data_samples, read_manifest

SOURCES = sorted(course().glob('*.ipynb'))


def tagged(nb, tag): return [c for c in nb.cells if tag in c.metadata.get('tags', ())]


@pytest.mark.parametrize('source', SOURCES, ids=lambda o: o.stem)
def test_learners_fail_exactly_at_the_exercises(source, tmp_path):
    nb = course_notebook(source)
    assert len(tagged(nb, 'exercise')) == len(tagged(nb, 'check')) == 3 and not tagged(nb, 'solution')
    NotebookClient(nb, timeout=120, allow_errors=True, kernel_name='python3', resources=dict(metadata=dict(path=str(tmp_path)))).execute()
    for c in nb.cells:
        wrong = [o for o in c.get('outputs', ()) if o.output_type == 'error']
        if c.cell_type == 'code': assert bool(wrong) == ('check' in c.metadata.get('tags', ())), c.source[:200]
        for o in wrong: assert o.ename == 'NotYet' and len(o.evalue) > 15, f'{o.ename}: {o.evalue}'


@pytest.mark.parametrize('source', SOURCES, ids=lambda o: o.stem)
def test_a_source_is_whole(source):
    nb = nbformat.read(source, as_version=4)
    kinds = [t for c in nb.cells for t in c.metadata.get('tags', ()) if t in ('exercise', 'solution', 'check')]
    assert kinds == ['exercise', 'solution', 'check']*3
    prose = '\n'.join(c.source for c in nb.cells if c.cell_type == 'markdown')
    assert prose.count('<details>') >= 3 and 'To talk about' in prose


# What learners write, exercise by exercise, and a part of what the check should say of it
WRONG = {
    '1_hear_emotion': [
        [("with_label = '56 %'", 'no number'), ('with_label = (answers==label).mean', 'no number'), ('with_label = (answers==label).mean(1)', 'holds 4 numbers'), ('with_label = 18', 'Is it a count'),
         ('with_label = 18/32; with_each_other = None', 'no number'), ('with_label = 18/32; with_each_other = with_label', 'the label has no part in it'), ('with_label = 18/32; with_each_other = (answers[:,None]==answers).mean()', 'compared with themselves')],
        [('def contour(pitch, loudness): return np.nanmean(pitch), np.percentile(loudness, [20,80])', 'holds 2 numbers'), ('def contour(pitch, loudness): return np.nan_to_num(pitch).mean(), 17', 'unvoiced frames were counted'),
         ('def contour(pitch, loudness): return np.nanmean(pitch), np.ptp(loudness)', 'the largest minus the smallest'), ('contour = (22.7, 17.2)', 'no function any more'), ('right = pitch[~np.isnan(pitch)].mean(),np.subtract(*np.percentile(loudness, [80,20]))\ndef contour(pitch, loudness): return right', 'its own arguments only')],
        [('def uar_by_hand(said, truth): return (said==truth).mean()', 'plain accuracy'), ('def uar_by_hand(said, truth): return {e: 1. for e in truth}', 'a number for each emotion'), ("def uar_by_hand(said, truth): return '44 %'", 'a number is wanted'),
         ('def uar_by_hand(said, truth): return (76/80+3/12+1/8)/3', 'the same number comes back'), ('def uar_by_hand(said, truth): return np.mean([(truth[said==e]==e).mean() for e in np.unique(truth)])', 'precision')]],
    '2_prototypes': [
        [('prototypes = torch.stack([x_german[y_german==e].mean(0) for e in emotions])', 'all German clips'), ('prototypes = torch.stack([x_german[shot][y_german[shot]==e].sum(0) for e in emotions])', 'sums'), ('prototypes = torch.stack([x_german[shot].mean(0)]*6)', 'rows are the same'),
         ('prototypes = torch.stack([x_german[shot][y_german[shot]==e].mean(0) for e in reversed(emotions)])', 'another order'), ('prototypes = torch.stack([x_german[shot][y_german[shot]==e][0] for e in emotions])', 'a single clip'), ('prototypes = x_german[shot].mean(0)', 'has the shape (128,)')],
        [('def name(x, prototypes): return np.array(emotions)[(x@prototypes.T).argmax(1)]', 'a longer prototype wins'), ('def name(x, prototypes): return np.array(emotions)[(x@torch.nn.functional.normalize(prototypes, dim=0).T).argmax(1)]', 'columns were brought to length 1'),
         ('def name(x, prototypes): return np.array(emotions)[torch.cdist(x, prototypes).argmin(1)]', 'nearest by distance'), ('def name(x, prototypes): return np.array(emotions)[(x@torch.nn.functional.normalize(prototypes, dim=1).T).argmin(1)]', 'the farthest'),
         ('def name(x, prototypes): return (x@prototypes.T).argmax(1)', 'not their names'), ('def name(x, prototypes): return x@prototypes.T', 'a table of the shape (60, 6)'), ('def name(x, prototypes): return emotions[(x@prototypes.T).argmax(1)]', 'emotions is a list'),
         ('def name(x, prototypes): return np.array(emotions)[(x@prototypes.T).argmax(0)]', 'name stopped with'), ('def name(x, prototypes): (x@prototypes.T).argmax(1)', 'does it end with return')],
        [("found = {e: (y_italian[called['Italian']==e]==e).mean() for e in emotions}", 'precision'), ("found = {e: (called['Italian']==e).mean() for e in emotions}", 'how often each name was given'), ("found = {e: ((called['Italian']==e)&(y_italian==e)).mean() for e in emotions}", 'out of all 120 clips'),
         ("found = {e: called['Italian'][y_italian==e]==e for e in emotions}", 'one number'), ("found = {e: (called['Italian'][y_italian==e]==e).sum() for e in emotions}", 'is it a count'), ("found = {e: (called['German'][y_german[~shot]==e]==e).mean() for e in emotions}", 'the German clips')]],
    '3_resonance': [
        [('r = parts@slope', 'rows do not sum to 0'), ('r = parts@slope; r = r-r.mean(0)', 'went over the moments'), ('r = parts@slope; r = r-r.mean()', 'from the whole table'), ('r = (slope.T@parts.T)', 'transposed'), ('r = None', 'an array is wanted'),
         ('r = (parts@slope).sum(0)', 'summed already'), ('r = parts[:,:,None]*slope', 'three axes'), ('r = torch.tensor(parts@slope).softmax(1)', 'as after a softmax'), ('r = parts@slope; r = r.mean(1, keepdims=True)-r', 'signs are turned'),
         ('r = parts@slope/len(parts); r = r-r.mean(1, keepdims=True)', 'nothing is to be divided'), ('r = parts', 'has the shape'), ('r = (parts**2)@slope', 'the numbers are not')],
        [(f'margin = {m}; highlight = lambda m, n: {h}', part) for m,h,part in (
            ('r[named]-r[second]', '0', 'is a row'), ('r[:,second]-r[:,named]', '0', 'sign is turned'), ('r[:,named]', '0', 'alone'), ('abs(r[:,named]-r[:,second])', '0', 'sign is lost'), ('r[:,:2]', '0', 'one number for each'), ('r[:,named]+r[:,second]', '0', 'not the right numbers'),
            *(('r[:,named]-r[:,second]', *o) for o in (('None', 'returns nothing'), ('m.argmax()', 'one moment'), ("np.convolve(m, np.ones(n), 'valid').max()", 'argmax in place of max'), ("np.convolve(m, np.ones(n), 'valid').argmin()", 'against the answer'),
                ("abs(np.convolve(m, np.ones(n), 'valid')).argmax()", 'without their signs'), ('np.convolve(m, np.ones(n)).argmax()', 'hang over the ends'), ("np.convolve(m, np.ones(n), 'same').argmax()", 'the middle of a stretch'), ("n+np.convolve(m, np.ones(n), 'valid').argmax()", 'the end of the stretch'),
                ('int(np.argmax([m[a:a+n].sum() for a in range(len(m)-n)]))', 'last stretch is left out'), ('m[:n]', 'a whole stretch'), ('m[0:n+1]', 'one is wanted'), ('m[99]', 'highlight stopped'), ('0', 'not quite'))))]
         + [('margin = r[:,named]-r[:,second]; highlight = 13', 'no function any more')],
        [('def says(r, origin): return (r.sum(0)+origin).argmax()', 'a number, not a name'), ('def says(r, origin): return emotions[(r.sum(0)+origin).argmin()]', 'smallest'), ('def says(r, origin): return emotions[r.sum(0).argmax()]', 'heed the origin'),
         ('def says(r, origin): return emotions[(r+origin).sum(0).argmax()]', 'to each moment'), ('def says(r, origin): return emotions[(r.mean(0)+origin).argmax()]', 'to their mean'), ('def says(r, origin): return emotions[(r.sum(1)+origin).argmax()]', 'over the emotions of a moment'), ('def says(r, origin): return emotions[(r@origin[:3]).argmax()]', 'says stopped'),
         ('def says(r, origin): return emotions[r.max(0).argmax()]', 'largest number'), ('def says(r, origin): (r.sum(0)+origin).argmax()', 'returns nothing'), ('def says(r, origin): return emotions[(r+origin).argmax(1)]', 'answers for one clip'), ('says = emotions', 'no function any more')]
         + [('def says(r, origin): return emotions[(r.sum(0)+origin).argmax()]\nwithout = [np.delete(f["r"], np.s_[a:b], 0) for f,(a,b) in zip(fields, spans)]\nnow = np.array([says(f["r"], f["origin"]) for f in fields])\n'
             'then = np.array([says(r, f["origin"]) for r,f in zip(without, fields)])\nchanged = '+c, part) for c,part in (
            ('...', 'still empty'), ('int((now!=then).sum())', 'list of numbers'), ('now!=then', 'True or False'), ('[]', 'an empty list'), ('[120]', 'no clip 120'), ('np.flatnonzero(now==then)', 'stays the same'), ('np.flatnonzero(then!=y_italian)', 'called wrongly'),
            ('[i for i,(f,(a,b)) in enumerate(zip(fields, spans)) if says(f["r"][a:b], f["origin"])!=now[i]]', 'keep the rest'), ('list(range(120))', 'and without'), ('np.flatnonzero(now!=then)[1:]', 'is missing'), ('"all"', 'is a str;'))]],
    '4_the_chain': [
        [('def step(a, b, temperature): return (a@b.T).softmax(1)', 'temperature is forgotten'), ('def step(a, b, temperature): return (a@b.T/temperature).softmax(0)', 'wrong axis'), ('def step(a, b, temperature): return (a@b/temperature).softmax(1)', 'the .T is missing'),
         ('def step(a, b, temperature): return a@b.T/temperature.softmax(1)', 'brackets are missing'), ('def step(a, b, temperature): return a@b.T/temperature', 'negative')],
        [('def comes_home(s, emotion): return s.softmax(1)*s.softmax(0)', 'elementwise'), ('def comes_home(s, emotion): return (s.softmax(1)@s.softmax(0).T).sum(1)', 'mask forgotten'), ('def comes_home(s, emotion): return (s.softmax(1)@s.softmax(0).T*(emotion[:,None]==emotion)).sum(0)', 'down the columns'),
         ('def comes_home(s, emotion): return (s.softmax(1)@s.softmax(0).T*(emotion[:,None]==emotion)).mean(1)', 'that is the mean')],
        [('def offsets(log_share, due): return (due/log_share.softmax(1).mean(0)).log()', 'a single step'), ('def offsets(log_share, due): return due', 'these are shares'), ('def offsets(log_share, due): return -(due/log_share.softmax(1).mean(0)).log()', 'wrong sign'),
         ('def offsets(log_share, due): return balancing_offsets(log_share, torch.full((6,), 1/6))', 'whatever is due')]],
    '5_self_organise': [
        [('shots, rest = shot, ~shot', 'clips are wanted'), ('shots, rest = german[shot], without_labels(swahili)', 'both languages'), ('shots, rest = german[shot], Embeddings.concat([german[~shot], swahili])', 'still have their labels'),
         ('shots, rest = german[shot], Embeddings.concat([without_labels(german), without_labels(swahili)])', 'among the rest, too'), ('shots, rest = swahili[shot], Embeddings.concat([without_labels(swahili[~shot]), without_labels(german)])', 'should be German'),
         ('shots, rest = without_labels(german[shot]), without_labels(swahili)', 'lost their labels'), ('shots, rest = german[shot], [without_labels(german[~shot]), without_labels(swahili)]', 'rest is a list')],
        [("c = [h['proba'].argmax(1) for h in learner.history_[:9]]; changed = [float((c[r]!=c[r-1])[learner.label_<0].float().mean()) for r in range(8)]", 'one round off'), ("c = [h['proba'].argmax(1) for h in learner.history_[:9]]; changed = [float((b==a)[learner.label_<0].float().mean()) for a,b in zip(c, c[1:])]", 'stayed the same'),
         ("c = [h['proba'].argmax(1) for h in learner.history_[:9]]; changed = [(b!=a)[learner.label_<0] for a,b in zip(c, c[1:])]", 'a table for each round'), ("c = [h['proba'].argmax(1) for h in learner.history_[:9]]; changed = [float((b!=a)[learner.label_<0].sum()) for a,b in zip(c, c[1:])]", 'counts')],
        [("row = int(np.where(learner.table_.language=='de', sure, 2.).argmin())", 'German'), ("row = int(np.where(learner.table_.language=='sw', sure, -1.).argmax())", 'surest'), ('row = sure.min()', 'whole number'), ('row = learner.table_.path[200]', 'whole number'), ('row = None', 'whole number')]],
    '6_train_it': [
        [(f'def labelled_prototype(far, label): {body}', part) for body,part in (
            ('pass', 'labelled_prototype returns nothing'), ('return far[label>=0].sum()', 'to its own prototype'), ('return far[torch.arange(len(far)), label].sum()', 'the last column'), ('return far.gather(1, label[:,None]).sum()', 'Python stops here with RuntimeError'),
            ('return far[label>=0].gather(1, label[label>=0][:,None]).mean()', 'the mean'), ('return -far[label>=0].gather(1, label[label>=0][:,None]).sum()', 'sign turned'), ('return far[label>=0].gather(1, label[label>=0][:,None])', 'one is wanted'),
            ('return float(far[label>=0].gather(1, label[label>=0][:,None]).sum())', 'cuts the gradient'), ('return (far**2)[label>=0].gather(1, label[label>=0][:,None]).sum()', 'is not right'))]
         + [('def labelled_prototype(far, label): return far[label>=0].gather(1, label[label>=0][:,None]).sum()\n'
             f'def unlabelled_prototype(far, share, label): {body}', part) for body,part in (
            ('pass', 'unlabelled_prototype returns nothing'), ('return (share*far).sum()', 'counts the shots'), ('return far[label<0].sum()', 'alike'), ('return far.amin(1)[label<0].sum()', 'nearest prototype alone'), ('return (share*far).sum(1)[label<0].mean()', 'the mean'),
            ('return (share*far).sum(1)[label>=0].sum()', 'takes the shots'), ('return (share*far)[label<0]', 'one is wanted'), ('return (share@far).sum()', 'Python stops here with RuntimeError'), ('return (share+far)[label<0].sum()', 'is not right'))]
         + [('def labelled_prototype(far, label): return far[label>=0].gather(1, label[label>=0][:,None]).sum()\ndef unlabelled_prototype(far, share, label): return (share*far).sum(1)[label<0].sum()\n'
             f'def step(loss, optimiser): {body}', part) for body,part in (
            ('pass', 'there is no gradient'), ('optimiser.zero_grad(); loss.backward()', 'takes no step'), ('loss.backward(); optimiser.step()', 'zero_grad is missing'), ('optimiser.zero_grad(); optimiser.step()', 'there is no gradient'),
            ('loss.backward(); optimiser.zero_grad(); optimiser.step()', 'there is no gradient'), ('optimiser.step(); optimiser.zero_grad(); loss.backward()', 'one gradient late'), ('optimiser.zero_grad(); loss.backward(); optimiser.step(); optimiser.step()', 'each once'))],
        [("follows = 'words'", 'one of three words'), ("follows = italian.sentence", 'one of three words'), ("follows = 'emotion'", 'crosstab of emotion'), ("follows = 'speaker'", 'crosstab of speaker')]
         + [(f"follows = 'sentence'; drift = {d}", part) for d,part in (('...', 'drift is still empty'), ("[h['epoch'] for h in two]", 'one number'), ("'late'", 'one number'), ('200', 'no epoch 200'), ('two[-1]["epoch"]', 'the last epoch'),
            ("int(np.argmin([h['uar'] for h in two]))", 'lowest'), ('0', 'still agree more with emotion'), ('140', 'not for the first time'))],
        [(f'def certainty(share, label): {body}', part) for body,part in (
            ('pass', 'certainty returns nothing'), ('p = share[label<0]; return (p*p.log()).sum()', 'certainty is NaN'), ('p = share[label<0]; return -(p*p.clamp_min(1e-9).log()).sum()', 'sign turned'), ('p = share[label<0]; return (p*p.clamp_min(1e-9).log()).sum(1).mean()', 'the mean'),
            ('return share[label<0].clamp_min(1e-9).log().sum()', 'logarithms alone'), ('p = share[label<0]; return p*p.clamp_min(1e-9).log()', 'one is wanted'), ('p = share[label<0]; return (p*p.clamp_min(1e-9).log2()).sum()', 'is not right'), ('return 0.', 'not a tensor'))]
         + [('def certainty(share, label): return torch.xlogy(share, share)[label<0].sum()\ndef kl(m, d): return (m*(m.clamp_min(1e-9)/d).log()).sum()\n'
             f'def balance(share, group, due): return {body}', part) for body,part in (
            ('None', 'balance returns nothing'), ('len(share)*kl(share.mean(0), due)', 'all clips together'), ('sum(kl(share[group==g].mean(0), due) for g in group.unique())', 'how many clips'), ('sum(kl(p, due) for p in share)', 'each clip to be like'),
            ('-sum((group==g).sum()*kl(share[group==g].mean(0), due) for g in group.unique())', 'sign turned'), ('sum((group==g).sum()*kl(due, share[group==g].mean(0)) for g in group.unique())', 'balance'),
            ('sum((group==g).sum()*kl(share[group==g].mean(0), torch.ones(3)/3) for g in group.unique())', 'heed its argument'), ('sum((group==g).sum()*kl(share[group==g].mean(0).detach(), due) for g in group.unique())', 'no gradient'),
            ('sum((group==g).sum()*(share[group==g].mean(0)*(share[group==g].mean(0)/due).log()).sum() for g in group.unique())', 'balance is NaN'), ('(share-due).abs().sum()', 'is not right'))]]}


def shown_by(output):
    "What stands below a cell whose check failed"
    return re.sub(r'\x1b\[[0-9;]*m', '', '\n'.join(output.traceback)).strip()


@pytest.mark.parametrize('source', SOURCES, ids=lambda o: o.stem)
def test_checks_say_what_is_wrong(source, tmp_path):
    "In a kernel, as JupyterLab asks it: one line below the cell, without a traceback, which would show the solution around it"
    cells, tries, exercise = [], [], -1
    for c in nbformat.read(source, as_version=4).cells:
        tags = c.metadata.get('tags', ())
        if c.cell_type != 'code': continue
        if 'exercise' in tags: exercise, start = exercise+1, c.source
        elif 'solution' in tags: solution = c.source
        elif 'check' in tags:
            for wrong, part in WRONG[source.stem][exercise]:
                cells += [nbformat.v4.new_code_cell(f'{start}\n{wrong}'), nbformat.v4.new_code_cell(c.source)]
                tries.append((wrong, part, solution, cells[-1]))
            cells += [nbformat.v4.new_code_cell(solution), nbformat.v4.new_code_cell(c.source)]
        else: cells.append(nbformat.v4.new_code_cell(c.source))
    assert exercise == 2
    nb = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(nb, timeout=120, allow_errors=True, kernel_name='python3', resources=dict(metadata=dict(path=str(tmp_path)))).execute()
    for wrong, part, solution, c in tries:
        error, = [o for o in c.outputs if o.output_type == 'error']
        text = shown_by(error)
        assert error.ename == 'NotYet' and text == error.evalue and '\n' not in text, f'{wrong}\nis told: {text}'
        assert part in text, f'{wrong}\nis told: {text}'
        assert not [o for o in solution.splitlines() if len(o.strip()) > 20 and o.strip() in text and o.strip() not in wrong], f'{wrong}\nis shown the solution: {text}'
        assert not c.outputs[1:], 'something is printed before the check says what is wrong'
    failed = [c for c in cells if any(o.output_type == 'error' for o in c.outputs)]
    assert failed == [c for *_, c in tries], [c.source[:100] for c in failed if c not in [o for *_, o in tries]]


def test_what_a_learner_s_own_function_stops_with():
    "is told with the learner's line, and not with the check's"
    cells = ["from sere_nb.cli import in_one_line", "def mine(x):\n    return x+'one'", "with in_one_line():\n    secret = 1\n    assert mine(secret)==2, 'no'", "with in_one_line():\n    secret/0"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(o) for o in cells])
    NotebookClient(nb, timeout=60, allow_errors=True, kernel_name='python3').execute()
    said = [shown_by(o) for c in nb.cells for o in c.outputs]
    assert said[0] == "Python stops here with TypeError: unsupported operand type(s) for +: 'int' and 'str'. In your line: return x+'one'"
    assert said[1] == 'Python stops here with ZeroDivisionError: division by zero.'


def test_a_failing_check_fails_a_program_that_runs_notebooks(tmp_path):
    "nbconvert, and nbdev's own runner"
    from execnb.shell import CaptureShell
    from nbclient.exceptions import CellExecutionError
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("from sere_nb.cli import in_one_line\nwith in_one_line(): assert False, 'not yet right'")])
    with pytest.raises(CellExecutionError, match='not yet right'): NotebookClient(nb, timeout=60, kernel_name='python3').execute()
    nbformat.write(nb, tmp_path/'one.ipynb')
    with pytest.raises(AssertionError, match='not yet right'): CaptureShell().execute(tmp_path/'one.ipynb', exc_stop=True)


def test_the_vectors_are_those_of_the_samples():
    "A small file without pickle; a row a clip, in the order of the manifests; who says the same was found, and is right"
    file = course()/'vectors.npz'
    known = np.load(file, allow_pickle=False)
    table = pd.concat([read_manifest(data_samples()/f'{o}.csv') for o in ('de', 'it')])
    assert file.stat().st_size < 1e5 and known['path'].tolist() == table.path.tolist()
    assert known['layers'].shape == (6, 240, 16) and known['layers'].dtype == np.float16 and np.isfinite(known['layers']).all()
    assert (pd.crosstab(known['words'], table.text_id.to_numpy()).to_numpy().max(1) == 24).all()


def test_copies(tmp_path, capsys):
    assert main(['workshop', str(tmp_path/'course')]) == 0
    assert sorted(o.name for o in (tmp_path/'course').glob('[!.]*')) == [o.name for o in SOURCES]
    mine = tmp_path/'course'/SOURCES[0].name
    mine.write_text('my work')
    (tmp_path/'course'/SOURCES[1].name).unlink()
    assert main(['workshop', str(tmp_path/'course')]) == 0
    assert mine.read_text() == 'my work' and (tmp_path/'course'/SOURCES[1].name).exists() and 'Left as they are' in capsys.readouterr().out
    assert main(['workshop', str(tmp_path/'teacher'), '--solutions']) == 0
    assert sorted(o.stem for o in (tmp_path/'teacher'/'slides').glob('[!.]*')) == [o.stem for o in SOURCES]
    assert f"Begin with {tmp_path/'teacher'/'teacher.md'}" in capsys.readouterr().out
    assert main(['workshop', str(tmp_path/'a course')]) == 0 and f"jupyter lab '{tmp_path/'a course'}'" in capsys.readouterr().out
    assert (tmp_path/'teacher'/'teacher.md').exists() and not any(tagged(nbformat.read(tmp_path/'teacher'/o.name, 4), 'exercise') for o in SOURCES)


@pytest.mark.parametrize('source', SOURCES, ids=lambda o: o.stem)
def test_slides(source):
    nb, page = nbformat.read(source, as_version=4), slides(source)
    assert page.count('<section>') == sum(c.source.count('\n---\n')+1 for c in tagged(nb, 'slide')) >= 5
    assert page.count('<div class=show>') == sum(len(c.outputs) for c in tagged(nb, 'show')) >= 1
    assert not [o for c in tagged(nb, 'solution') for o in c.source.splitlines() if len(o) > 30 and o in page]
    shells = (course_notebook(source), course_notebook(source, True))
    assert not any(tagged(o, 'slide') for o in shells)


@needs_browser
def test_slides_on_a_screen(tmp_path):
    page = tmp_path/'page.html'
    with browser(1280, 800, offline=True) as b:
        for source in SOURCES:
            page.write_text(slides(source), encoding='utf-8')
            b.get(page.as_uri())
            keys = b.find_element('tag name', 'body').send_keys
            last = b.execute_script("return document.querySelectorAll('section').length")-1
            until(b, "return !document.querySelector('.plotly-graph-div') || document.querySelector('.plotly-graph-div .main-svg')")
            assert b.execute_script("return [...document.querySelectorAll('section')].filter(s => s.scrollHeight > s.clientHeight+1).map(s => s.innerText.slice(0, 40))") == []
            for key, at in (' ', 1), ('\ue00e', 0), ('\ue010', last), ('\ue011', 0):      # space, page up, end, home
                keys(key)
                until(b, f'return Math.round(scrollY/innerHeight) == {at}')
        assert complaints(b) == []
