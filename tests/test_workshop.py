"The course: the learners' version fails at its checks and nowhere else, and says what is wrong"
import nbformat
import pytest
from nbclient import NotebookClient

from browser import browser, complaints, needs_browser, until
from sere_nb.cli import course, course_notebook, main, slides

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
        for o in wrong: assert o.ename == 'AssertionError' and len(o.evalue) > 15, f'{o.ename}: {o.evalue}'


@pytest.mark.parametrize('source', SOURCES, ids=lambda o: o.stem)
def test_a_source_is_whole(source):
    nb = nbformat.read(source, as_version=4)
    kinds = [t for c in nb.cells for t in c.metadata.get('tags', ()) if t in ('exercise', 'solution', 'check')]
    assert kinds == ['exercise', 'solution', 'check']*3
    prose = '\n'.join(c.source for c in nb.cells if c.cell_type == 'markdown')
    assert prose.count('<details>') >= 3 and 'To talk about' in prose


def test_copies(tmp_path, capsys):
    assert main(['workshop', str(tmp_path/'course')]) == 0
    assert sorted(o.name for o in (tmp_path/'course').iterdir()) == [o.name for o in SOURCES]
    mine = tmp_path/'course'/SOURCES[0].name
    mine.write_text('my work')
    (tmp_path/'course'/SOURCES[1].name).unlink()
    assert main(['workshop', str(tmp_path/'course')]) == 0
    assert mine.read_text() == 'my work' and (tmp_path/'course'/SOURCES[1].name).exists() and 'Left as they are' in capsys.readouterr().out
    assert main(['workshop', str(tmp_path/'teacher'), '--solutions']) == 0
    assert sorted(o.stem for o in (tmp_path/'teacher'/'slides').iterdir()) == [o.stem for o in SOURCES]
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
