"The page and the widget in a real browser; the widget's Python without one"
import copy
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from browser import browser, complaints, menu, needs_browser, opened, served, until

from sere_nb.corpora import data_samples, draw_shots, read_manifest
from sere_nb.encoder import Embeddings, embed
from sere_nb.explore import LAYOUTS, Explorer, Layout, compare, light, report_html, stances
from sere_nb.learner import SERE, SETTINGS
from sere_nb.scores import scores
from sere_nb.widget import _KNOBS

HOSTILE = ['</script><script>window.hit=1</script>', '<img src=x onerror="window.hit=1">', "\"';window.hit=1;//", 'two\nlines', 'سلام\u202egpj.wav', '{{7*7}}${window.hit=1}', '&lt;b&gt;', 'javascript:window.hit=1', 'a'*300]


def fresh():
    "A small fit: 6 emotions, shots and some clips in two languages"
    table = read_manifest(data_samples()/'manifest.csv')
    table = table[table.language.isin(['de', 'it'])]
    emb = embed(table, 'acoustic', progress=False)
    de = (emb.table.language == 'de').to_numpy()
    shot = np.zeros(len(emb), bool)
    shot[de] = draw_shots(emb[de].table, n=5, seed=0)
    some = ~shot & (np.arange(len(emb)) % 3 == 0)
    return SERE(rounds=3).fit(emb[shot], emb[some]), np.r_[emb.table.emotion[shot], emb.table.emotion[some]]


@pytest.fixture(scope='module')
def fitted(): return fresh()


@pytest.fixture(scope='module')
def page(fitted, tmp_path_factory):
    "A report with hostile names, in a file"
    learner, truth = fitted
    t = learner.table_.copy()
    t.loc[t.index[-len(HOSTILE):], 'path'] = HOSTILE
    t.loc[t.index[-len(HOSTILE):], 'speaker'] = HOSTILE
    learner = SERE.__new__(SERE)
    vars(learner).update(vars(fitted[0]), table_=t)
    truth = truth.copy()
    truth[-len(HOSTILE):-len(HOSTILE)+3] = HOSTILE[:3]
    file = tmp_path_factory.mktemp('page')/'report.html'
    file.write_text(report_html(learner, truth, title=HOSTILE[0], about={HOSTILE[1]: HOSTILE[0]}, notes=HOSTILE, layouts=('pca', 'circumplex')), encoding='utf8')
    return file, t, truth


# ---- the program ----

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not shutil.which('node'), reason='left out: node is not installed, which runs the tests of the JavaScript')
def test_the_javascript_by_itself():
    "tests/front, by node's own runner"
    done = subprocess.run(['node', '--test', *sorted(map(str, (ROOT/'tests'/'front').glob('*.test.js')))], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout+done.stderr
    assert int(done.stdout.split('# pass ')[1].split()[0]) >= 25


@pytest.mark.skipif(not (shutil.which('node') and (ROOT/'node_modules'/'eslint').exists()), reason='left out: eslint is not installed, which reads the JavaScript (npm install, with node)')
def test_the_javascript_is_clean():
    done = subprocess.run(['node', str(ROOT/'node_modules'/'eslint'/'bin'/'eslint.js'), '--max-warnings=0', 'sere_nb/front', 'tests/front', 'eslint.config.js'], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout+done.stderr


def test_what_is_installed_has_the_program(tmp_path):
    "setup.py takes each file of the page's program along"
    asked = ['egg_info', '--egg-base', str(tmp_path), 'build_py', '--build-lib', str(tmp_path/'lib')]
    done = subprocess.run([sys.executable, 'setup.py', '-q', *asked], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    front = {o.name: o.read_bytes() for o in (ROOT/'sere_nb'/'front').iterdir()}
    assert {o.name: o.read_bytes() for o in (tmp_path/'lib'/'sere_nb'/'front').iterdir()} == front and 'app.js' in front and 'style.css' in front


# ---- the ground ----

@pytest.mark.parametrize('kind', ['pca', 'circumplex'])
def test_the_ground_lies_still(fitted, kind):
    "The same profile stands at the same place in any round, and everything within the map"
    h, names = fitted[0].history_, fitted[0].classes_
    ground = Layout(kind).fit(h, names)
    xy, stars = ground(h[2])
    again = ground({k: torch.cat([h[2][k][:5], h[0][k][5:]]) if k in ('profile', 'proba') else h[2][k] for k in h[2]})[0]
    assert np.allclose(again[:5], xy[:5], atol=1e-5) and not np.allclose(again[5:], xy[5:])
    assert all(0 <= o.min() and o.max() <= 1 for o in (xy, stars)) and (np.ptp(xy, axis=0) > .4).all()


def test_circumplex_means_something(fitted):
    "Happiness lies to the right of anger, anger above sadness; an emotion without a norm at the lower edge"
    h = fitted[0].history_
    stars = dict(zip(fitted[0].classes_, Layout('circumplex').fit(h, fitted[0].classes_)(h[-1])[1]))
    assert stars['happiness'][0] > stars['anger'][0]+.3 and stars['anger'][1] > stars['sadness'][1]+.2
    own = Layout('circumplex').fit(h, ['anger', 'awe', 'fear', 'happiness', 'neutral', 'sadness'])(h[-1])[1]
    assert own[1, 1] == own[:, 1].min()


# ---- the page ----

def app(script): return f"const a = (document.getElementById('explorer') ?? [...document.querySelectorAll('.sere')].find(o => o.explorer))?.explorer; if (!a) return null; {script}"


@needs_browser
def test_the_page_without_a_network(page, fitted):
    file, t, truth = page
    with browser(offline=True) as b:
        b.get(file.as_uri())
        n = len(t)
        # by itself it plays once, from the start; then play is pressed: points move over the ground, and it ends at the last round
        assert until(b, app('return a.rounds')) == 4
        until(b, app('return a.round == 3 && !a.moving'), what='it has played by itself')
        b.find_element('css selector', 'button[aria-label="a round back"]').click()
        until(b, app('return a.round == 2 && !a.moving'))
        for _ in range(2): b.find_element('css selector', 'button[aria-label="a round back"]').click()
        until(b, app('return a.round == 0 && !a.moving'))
        first = b.execute_script(app(f'return [...Array({n}).keys()].map(a.where)'))
        b.find_element('css selector', 'button[aria-label="play the rounds"]').click()
        half = until(b, app(f'return a.moving && a.round > 0 && [...Array({n}).keys()].map(a.where)'))
        until(b, app('return a.round == 3 && !a.moving'), 10)
        last = b.execute_script(app(f'return [...Array({n}).keys()].map(a.where)'))
        moved = np.linalg.norm(np.subtract(first, last), axis=1)
        assert (moved > 3).mean() > .5 and not np.allclose(half, last) and not np.allclose(half, first)
        # a click on the map plays the clip that stands there
        from selenium.webdriver import ActionChains
        canvas = b.find_element('css selector', 'canvas.map')
        b.execute_script('arguments[0].scrollIntoView({block: "center"})', canvas)
        size = canvas.size
        apart = np.asarray(last)
        alone = int(max(range(n), key=lambda i: np.sort(np.linalg.norm(apart-apart[i], axis=1))[1]))
        ActionChains(b).move_to_element_with_offset(canvas, apart[alone][0]-size['width']/2, apart[alone][1]-size['height']/2).click().perform()
        until(b, app(f'return a.chosen == {alone} && a.player && !a.player.paused && a.player.currentTime > 0'), 15, f'clip {alone} plays, at {apart[alone]} of {size}')
        sounds = json.loads(b.execute_script("return document.getElementById('sounds').textContent"))
        assert b.execute_script(app('return a.player.src')) == 'data:audio/mpeg;base64,'+sounds[str(alone)]
        until(b, "return document.querySelector('.panel .picture image')", what='the log-mel')
        assert b.execute_script("return document.querySelector('.panel h3').textContent") == t.path.iloc[alone]
        assert b.execute_script("return document.querySelectorAll('.panel .rounds button').length") == 4
        # beside the highlight stands what is heard there, where anything is sure
        told = fitted[0].heard([alone]).heard[0]
        assert b.execute_script("return document.querySelector('.panel .heard')?.textContent.split(': ')[1] ?? ''") == (told and f'{told}.')
        # what it is most like can be heard too
        near = b.execute_script("const o = document.querySelectorAll('.panel [aria-label=\"nearest clips\"] button'); o[0].click(); return [...o].map(x => [+x.dataset.i, +x.textContent.match(/[0-9.]+$/)[0]])")
        stance = stances(fitted[0].history_[-1]['profile'], 6)
        apart = 1-stance@stance[alone]
        apart[alone] = 9
        assert np.allclose([d for _, d in near], apart.sort().values[:6], atol=.01) and len({i for i, _ in near}-{alone}) == 6
        until(b, app(f'return a.player.dataset.i == {near[0][0]} && !a.player.paused'), what='the nearest plays')
        assert complaints(b) == []


@needs_browser
def test_names_stay_text(page):
    file, t, truth = page
    with browser(offline=True, still=True) as b:
        b.get(file.as_uri())
        until(b, app('return a.rounds'))
        for i in range(len(t)-len(HOSTILE), len(t)):
            b.execute_script(app(f'a.choose({i})'))
            until(b, f"return document.querySelector('.panel h3')?.textContent == {json.dumps(t.path.iloc[i])}")
        find = b.find_element('css selector', 'input[type=search]')
        find.send_keys('<img')
        assert until(b, "const r = document.querySelectorAll('.clips tbody tr'); return r.length == 1 && r[0].textContent").startswith('▶'+HOSTILE[1])
        assert b.execute_script('return window.hit ?? null') is None
        assert b.execute_script("return document.querySelectorAll('img, .sere script').length") <= 4     # the page's own script blocks
        assert b.title == HOSTILE[0] and complaints(b) == []


@needs_browser
def test_everything_from_the_keyboard(page):
    from selenium.webdriver.common.keys import Keys
    file, t, _ = page
    with browser(800, 900, dark=True, still=True) as b:
        b.get(file.as_uri())
        until(b, app('return a.rounds'))
        canvas = b.find_element('css selector', 'canvas.map')
        b.execute_script('arguments[0].focus()', canvas)
        at = lambda: b.execute_script(app('return a.chosen == null ? null : a.where(a.chosen)'))
        canvas.send_keys(Keys.ARROW_RIGHT)
        x = until(b, app('return a.chosen != null && a.where(a.chosen)'))
        for key, axis, sign in ((Keys.ARROW_LEFT, 0, -1), (Keys.ARROW_UP, 1, -1), (Keys.ARROW_DOWN, 1, 1), (Keys.ARROW_RIGHT, 0, 1)):
            before = at()
            canvas.send_keys(key)
            assert sign*(at()[axis]-before[axis]) > 0
        until(b, app('return a.player'))
        canvas.send_keys(' ')
        until(b, app('return a.player && !a.player.paused'), what='space plays')
        canvas.send_keys(',')
        until(b, app('return a.round == 2'))
        canvas.send_keys('.')
        until(b, app('return a.round == 3 && !a.moving'))
        canvas.send_keys(Keys.ESCAPE)
        assert at() is None
        # the table: arrows walk by rows, chips filter, the order turns
        row = b.find_element('css selector', '.clips tbody tr .open')
        row.send_keys(Keys.ARROW_DOWN)
        assert b.execute_script(app("return a.chosen == document.querySelectorAll('.clips tbody tr')[1].dataset.i"))
        b.find_element('css selector', '.chips button').send_keys(Keys.ENTER)
        called = until(b, app("const r = [...document.querySelectorAll('.clips tbody tr')].map(o => a.called(+o.dataset.i)); return r.length && r.every(o => o == r[0]) && r[0]"))
        assert called == 'anger'
        b.find_element('css selector', 'select[aria-label="ground of the map"]').send_keys('circ')
        until(b, app("return a.kind == 'circumplex'"))
        # nothing is wider than the window, everything that can be pressed has a name
        assert b.execute_script('return document.documentElement.scrollWidth <= innerWidth')
        nameless = b.execute_script("return [...document.querySelectorAll('button, input, select, canvas, audio')].filter(o => !(o.getAttribute('aria-label') || o.textContent.trim() || o.labels?.length)).map(o => o.outerHTML)")
        assert nameless == [] and complaints(b) == []


@needs_browser
def test_a_lasso_lists_clips(page, fitted):
    from selenium.webdriver import ActionChains
    file, t, _ = page
    with browser(still=True) as b:
        b.get(file.as_uri())
        until(b, app('return a.rounds'))
        next(o for o in b.find_elements('css selector', '.tools .toggle') if o.text == 'lasso').click()
        canvas = b.find_element('css selector', 'canvas.map')
        b.execute_script('arguments[0].scrollIntoView({block: "center"})', canvas)
        w, h = canvas.size['width'], canvas.size['height']
        chain = ActionChains(b).move_to_element_with_offset(canvas, -w/2+4, -h/2+4).click_and_hold()
        for x, y in ((-4, -h/2+4), (-4, h/2-4), (-w/2+4, h/2-4)): chain = chain.move_to_element_with_offset(canvas, x, y)
        chain.release().perform()
        inside = b.execute_script(app(f'return [...Array({len(t)}).keys()].filter(i => a.where(i)[0] < {w/2-4})'))
        listed = b.execute_script("return [...document.querySelectorAll('.clips tbody tr')].map(o => +o.dataset.i)")
        assert sorted(listed) == inside and 10 < len(inside) < len(t)
        # they are a list that can be written, and are heard in turn
        saved = b.execute_script("let text; const old = URL.createObjectURL; URL.createObjectURL = o => { window.saved = o.text(); return old.call(URL, o); }; [...document.querySelectorAll('.basket button')].find(o => o.textContent.includes('list')).click(); return window.saved")
        table = pd.read_csv(io.StringIO(saved))
        assert table.path.tolist() == t.path.iloc[listed and sorted(listed)].tolist() and table.emotion.isin(fitted[0].classes_).all()
        b.execute_script("document.querySelector('.basket button').click()")
        turns = []
        for _ in range(2): turns.append(until(b, app(f"return a.player && a.player.currentTime > 0 && !{turns}.includes(a.chosen) && [a.chosen]"))[0])
        assert turns == sorted(inside)[:2]
        # let go: all clips again, and nothing more is said of them
        b.execute_script("document.querySelector('.basket [aria-label=\"all clips again\"]').click()")
        assert b.execute_script("return document.querySelectorAll('.clips tbody tr').length") == len(t) and b.execute_script(app('return a.told.has("basket")')) is False


def clips():
    "Shots and all other clips"
    table = read_manifest(data_samples()/'manifest.csv')
    emb = embed(table[table.language.isin(['de', 'it'])], 'acoustic', progress=False)
    de = (emb.table.language == 'de').to_numpy()
    shot = np.zeros(len(emb), bool)
    shot[de] = draw_shots(emb[de].table, n=5, seed=0)
    return emb[shot], emb[~shot]


def test_a_report_of_2000_clips_is_light():
    "Without sound at most 4 MB, with three grounds of the map and every round"
    learner = SERE().fit(*clips())
    page = report_html(learner, audio_mb=0, layouts=('pca', 'circumplex'))
    data = sum(len(page.split(f'id="{k}">')[1].split('</script>')[0]) for k in ('clips', 'fields'))
    third = 11*4*4/3*len(learner.table_)     # 11 rounds, two 16-bit numbers, as base64
    assert len(page)-data+2000*(data+third)/len(learner.table_) < 4e6


def test_a_page_works_out_each_field_once(fitted, monkeypatch):
    from sere_nb import fields
    asked, work = [], fields.instantaneous_resonance
    monkeypatch.setattr(fields, 'instantaneous_resonance', lambda o, *args: (asked.append(len(o)), work(o, *args))[1])
    report_html(fitted[0], audio_mb=0, layouts=('pca',))
    assert sum(asked) == len(fitted[0].table_)


def test_a_page_that_fails_does_not_code_sound_to_the_end(fitted, monkeypatch):
    "Sound is coded beside the rest, and ends with it"
    from sere_nb import page
    coded, failed = [], threading.Event()
    def slow(file): failed.wait(60); time.sleep(.02); coded.append(file); return b'mp3'
    def fails(*_): failed.set(); raise ValueError('nothing to show')
    monkeypatch.setattr(page, 'mp3_of', slow)
    monkeypatch.setattr(page, 'field_data', fails)
    with pytest.raises(ValueError, match='nothing to show'): report_html(fitted[0], layouts=('pca',))
    assert len(coded) < len(fitted[0].table_)


def test_light_twin(fitted):
    figure = light(fitted[0], title='<b>')
    assert len(figure.frames) == 4 and len(figure.to_json()) < 1e6 and '<b>' not in figure.layout.title.text
    assert figure.layout.sliders[0].x*(390-36) > 92      # on a phone it begins beside the two buttons, not below them
    first, last = (np.array([f.data[0].x, f.data[0].y]) for f in (figure.frames[0], figure.frames[-1]))
    assert not np.allclose(first, last)


def test_names_beside_their_stars(fitted):
    "Where clips are dense a name is read all the same: on the outer side, with a pale edge, and not cut off at the side"
    stars = light(fitted[0]).data[1]
    assert [o.strip() for o in stars.text] == list(fitted[0].classes_)
    assert list(stars.textposition) == ['middle left' if x < .5 else 'middle right' for x in stars.x]
    assert stars.textfont.shadow.count('white') > 3 and stars.cliponaxis is False


SEEN = "const c = document.querySelector('canvas.map'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
COLOURED = SEEN+" let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i+3] > 40 && Math.max(d[i], d[i+1], d[i+2])-Math.min(d[i], d[i+1], d[i+2]) > 60; return n;"


@needs_browser
def test_it_opens_at_the_start_and_plays_once(page):
    "Slider, words and cursors run with time; clips are grey first; play is in sight"
    file, t, _ = page
    states = "if (!window.seen) { window.seen = []; const look = () => { seen.push([a.round, +document.querySelector('.time input').value, document.querySelector('.time output').textContent, document.querySelector('.cursor').getAttribute('transform')]); requestAnimationFrame(look); }; look(); } return [a.round, a.rounds];"
    with browser(1280, 900) as b:
        b.get(file.as_uri())
        assert until(b, app(states)) == [0, 4]
        hidden = b.execute_script("const y = document.querySelector('.time button').getBoundingClientRect(); return y.top < 0 || y.bottom > innerHeight")
        first = b.execute_script(COLOURED)
        until(b, app('return a.round == 3 && !a.moving'), what='it has played')
        time.sleep(.3)
        seen = b.execute_script('return seen')
        assert [r for j, (r, *_) in enumerate(seen) if not j or seen[j-1][0] != r] == [0, 1, 2, 3]
        late = [o for o in seen if o[1] != o[0] or o[2] != f'round {o[0]} of 3']
        assert not late and len({o[3] for o in seen}) > 20 and not hidden
        assert b.execute_script(COLOURED) > 1.5*first      # the shots and the prototypes alone have colours at first
        time.sleep(1.5)
        assert b.execute_script(app('return a.round')) == 3 and complaints(b) == []
    with browser(1280, 900, still=True) as b:       # less motion: the end, at once
        b.get(file.as_uri())
        assert until(b, app('return [a.round, a.rounds]')) == [3, 4]
        time.sleep(1.5)
        assert b.execute_script(app('return [a.round, a.moving]')) == [3, False]


@needs_browser
def test_what_decided_and_what_was_assumed(page, fitted):
    "A sentence names the answer, the runner-up, and the share that was assumed; right and wrong are marked on the map; no text is small"
    file, t, truth = page
    learner = fitted[0]
    i = 40
    order = learner.classes_[learner.history_[-1]['proba'][i].argsort(descending=True)]
    small = "const walk = document.createTreeWalker(document.body, 4), out = []; for (let o; o = walk.nextNode();) { const e = o.parentElement; if (!o.textContent.trim() || !e.checkVisibility() || e.closest('script,style')) continue; const by = e.ownerSVGElement ? e.getScreenCTM().a : 1, px = parseFloat(getComputedStyle(e).fontSize)*by; if (px < 10.99) out.push([o.textContent, px]); } return out;"
    with browser(1280, 900, still=True) as b:
        for width in (1280, 800):
            b.set_window_size(width, 900)
            b.get(file.as_uri())
            until(b, app('return a.rounds'))
            assert b.execute_script(small) == []
            b.execute_script(app(f'a.choose({i})'))
            until(b, "return document.querySelector('.panel .picture image')")
            assert b.execute_script(small) == [] and b.execute_script('return document.documentElement.scrollWidth <= innerWidth')
        said = b.execute_script("return document.querySelector('.panel .why').textContent")
        assert said.startswith(f'Called {order[0]} (') and f'before {order[1]} (' in said and f'{order[0]} leads {order[1]} by' in said
        assert f'{order[0]} has its due, 1/6 of the clips of {learner._clips.corpus[i]} without label' in said
        plain = b.execute_script(COLOURED)
        b.execute_script("[...document.querySelectorAll('.tools .toggle')].find(o => o.textContent == '✓ ✗ on the map').click()")
        until(b, f"return (() => {{ {COLOURED} }})() != {plain}", what='marks')
        # another theme: the mel is painted again, in the other ink
        ink = "const o = document.querySelector('.panel .picture image').getAttribute('href'); return o"
        before = b.execute_script(ink)
        b.execute_cdp_cmd('Emulation.setEmulatedMedia', dict(features=[dict(name='prefers-color-scheme', value='dark'), dict(name='prefers-reduced-motion', value='reduce')]))
        until(b, f"return document.querySelector('.panel .picture image')?.getAttribute('href') != {json.dumps(before)}", what='the mel in the other theme')
        assert complaints(b) == []


FAINT = """
const parse = c => { const m = c.match(/[\\d.]+/g).map(Number), k = c.startsWith('color(') ? 255 : 1; return [...m.slice(0, 3).map(v => v*k), m[3] ?? 1]; };
const over = (a, b) => [0, 1, 2].map(i => a[i]*a[3]+b[i]*(1-a[3]));
const lum = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v/12.92 : ((v+.055)/1.055)**2.4); return .2126*r+.7152*g+.0722*b; };
const ground = e => { const c = parse(getComputedStyle(e).backgroundColor); return c[3] == 1 || !e.parentElement ? c : over(c, ground(e.parentElement)).concat(1); };
const walk = document.createTreeWalker(document.body, 4), out = [];
for (let o; o = walk.nextNode();) {
    const e = o.parentElement;
    if (!o.textContent.trim() || !e.checkVisibility() || e.closest('script,style,svg,button:disabled,.off')) continue;
    const on = ground(e), [a, b] = [lum(over(parse(getComputedStyle(e).color), on)), lum(on)].sort((x, y) => y-x);
    if ((a+.05)/(b+.05) < 4.5) out.push([o.textContent, e.className, (a+.05)/(b+.05)]);
}
return out;"""


@pytest.fixture(scope='module')
def judged(fitted, tmp_path_factory):
    "A report with its table of labels and guesses"
    learner, truth = fitted
    guess = learner.classes_[learner.history_[-1]['proba'].argmax(1)]
    file = tmp_path_factory.mktemp('judged')/'report.html'
    file.write_text(report_html(learner, truth, scores=scores(truth, guess), layouts=('pca',), audio_mb=0, fields=0), encoding='utf8')
    return file


@needs_browser
@pytest.mark.parametrize('dark', [False, True])
def test_no_page_is_wider_than_a_phone(judged, page, two, dark):
    "Neither with long names; and whatever is written can be read, on any share of a row"
    with browser(800, 900, dark=dark, still=True) as b:
        for width in (390, 1280):
            b.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=width, height=844, deviceScaleFactor=1, mobile=False))
            for file in (judged, page[0], two[1]):
                b.get(Path(file).as_uri())
                until(b, app('return a.rounds ?? a.stories.length'))
                until(b, "document.querySelectorAll('details').forEach(o => { o.open = true; }); return document.querySelector('.clips tbody tr')", what='the table')
                assert b.execute_script('return [innerWidth, document.documentElement.scrollWidth <= innerWidth]') == [width, True], file
                assert b.execute_script(FAINT) == [], file
                if file != judged: continue
                for share in range(0, 101, 20):
                    b.execute_script(f"document.querySelectorAll('.confusion td').forEach(o => o.style.setProperty('--share', '{share}%'))")
                    assert b.execute_script(FAINT) == [], share
                assert b.execute_script("const o = document.querySelector('.roll'); return o.scrollWidth <= o.clientWidth")


@needs_browser
def test_faint_emotions_are_told_apart(fitted, tmp_path):
    "Neutral, boredom, and what nobody has an idea of yet look different however unsure they are"
    shown = copy.copy(fitted[0])
    shown.classes_ = np.array(['anger', 'boredom', 'fear', 'happiness', 'neutral', 'sadness'])
    file = tmp_path/'faint.html'
    file.write_text(report_html(shown, audio_mb=0, layouts=('pca',), fields=0), encoding='utf8')
    look = "const s = a.map.stamps, of = (k, l) => { const c = s.get('o', k, l); return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }, far = (x, y) => x.reduce((m, v, j) => m + Math.abs(v - y[j]), 0)/x.length; return [far(of(1, 1), of(4, 1)), far(of(1, 1), of(1, 0)), far(of(4, 1), of(4, 0)), far(of(1, 4), of(4, 4)), far(of(1, 0), of(4, 0))];"
    for dark in (False, True):
        with browser(1280, 900, still=True, dark=dark) as b:
            b.get(file.as_uri())
            until(b, app('return a.rounds && !!a.map.stamps'))
            *apart, same = b.execute_script(app(look))
            assert min(apart) > 5 and same == 0


def test_the_twin_shows_where_no_program_draws_it(fitted, capsys, monkeypatch):
    "Beside plotly's data stands HTML of our own, without sound and without a network"
    import IPython.display
    shown = []
    monkeypatch.setattr(IPython.display, 'display', lambda data, raw: shown.append(data))
    light(fitted[0])._ipython_display_()
    page = shown[0]['text/html']
    assert shown[0]['application/vnd.plotly.v1+json']['frames'] and page.startswith('<iframe') and 'http' not in page.replace('http://www.w3.org/2000/svg', '').replace('http-equiv', '') and len(page) < 1e6
    monkeypatch.setattr('sere_nb.twin._show.__defaults__', (10,))
    light(fitted[0])._ipython_display_()
    assert 'cdn' in shown[1]['text/html']       # too many clips for a page within a page


@needs_browser
def test_300_emotions(fitted, tmp_path):
    "Each clip is shown under what the learner calls it"
    shown, n, K = copy.copy(fitted[0]), len(fitted[0].table_), 300
    g = torch.Generator().manual_seed(0)
    shown.classes_ = np.array([f'e{k:03d}' for k in range(K)])
    shown.label_ = torch.where(fitted[0].label_ >= 0, torch.randint(0, K, (n,), generator=g), -1)
    shown.history_ = [h | dict(proba=(1e-7*torch.rand(n, K, generator=g)+1/K), resonance=torch.zeros(n, K), landmarks=torch.randn(K, h['profile'].shape[1]//6*K, generator=g), profile=torch.randn(n, h['profile'].shape[1]//6*K, generator=g)) for h in fitted[0].history_]
    nothing = dict(time_s=np.zeros(0), r=np.zeros((0, K)), weight=np.zeros(0))
    shown.heard = lambda rows, fields: pd.DataFrame(dict(start_s=np.zeros(len(rows)), end_s=1., resonance=0., heard='', pitch=np.nan, loudness=np.nan, timbre=np.nan, field=[nothing]*len(rows)))
    file = tmp_path/'many.html'
    file.write_text(report_html(shown, audio_mb=0, layouts=('pca',)), encoding='utf8')
    called = np.where(shown.label_ >= 0, shown.label_, shown.history_[-1]['proba'].argmax(1))
    assert len(set(called) & set(range(256, 300))) > 3
    with browser(1280, 900, still=True) as b:
        b.get(file.as_uri())
        assert until(b, app(f'return a.rounds && [...Array({n}).keys()].map(i => a.called(i))')) == shown.classes_[called].tolist()
        b.execute_script(app(f'a.choose({n-1})'))
        until(b, f"return document.querySelector('.panel .tag')?.textContent == '{shown.classes_[called[-1]]}'")
        assert b.execute_script("return document.querySelector('canvas.map').getBoundingClientRect().top < innerHeight/2") and complaints(b) == []


# ---- two maps ----

@pytest.fixture(scope='module')
def two(tmp_path_factory):
    "Before and after some clips are taught, as a widget and as a page"
    learner, truth = fresh()
    x = Explorer(learner, truth, kind='pca')
    x.teach([40, 41, 42], 'fear').wait()
    both = x.beside(layouts=('pca', 'circumplex'))
    return both, both.to_html(tmp_path_factory.mktemp('two')/'two.html', audio_mb=1)


def test_two_maps_are_of_the_same_clips(two):
    "Whatever order a learner met them in, and where one knows more"
    both, _ = two
    a, b = both.learners
    shuffled = SERE(rounds=1).fit(*(o[np.random.default_rng(0).permutation(len(o))[:n]] for o, n in zip(clips(), (30, 100))))
    other = compare(b, shuffled, layouts=('circumplex',))
    assert other.table.path.tolist() == shuffled.table_.path.iloc[other.rows[1]].tolist() and len(other.table) < len(b.table_)
    called = [o['path'] for o in other._page['sides']]
    assert called[0] == called[1] == other.table.path.tolist()
    before, after = both._called()
    assert (after[40:43] == 'fear').all() and both.moves.clips.sum() == (before != after).sum() == len(both.otherwise)
    assert both._page['common'] and [len(o) for o in (both._story_a, both._story_b)] == [4, 6]
    with pytest.raises(ValueError, match='nothing was taught'): Explorer(b, kind='pca').beside()


@needs_browser
@pytest.mark.parametrize('dark', [False, True])
def test_two_maps_are_one(two, dark):
    "Chosen, pointed at, caught and played on both; what is called otherwise is told with counts; by mouse and by keys, wide and narrow"
    from selenium.webdriver import ActionChains, Keys
    both, file = two
    with browser(1280, 1000, dark=dark, still=True) as b:
        for width in (800, 1280):
            b.set_window_size(width, 1000)
            b.get(file.as_uri())
            until(b, app('return a.rounds'))
            assert b.execute_script('return document.documentElement.scrollWidth <= innerWidth')
            left, right = b.execute_script("return [...document.querySelectorAll('.pair .one')].map(o => (({left, right, top}) => [left, right, top])(o.getBoundingClientRect()))")
            assert left[1] <= right[0] and abs(left[2]-right[2]) < 1     # side by side
        assert b.execute_script(app('return a.stories.map(o => o.at)')) == [3, 5]
        told = b.execute_script("return [...document.querySelectorAll('.pair .changes button')].map(o => o.textContent)")
        assert told == [*(f'{o[0]} → {o[1]}: {o[2]}' for o in both.moves.itertuples(index=False)), f'all {both.moves.clips.sum()}']
        # a click and an arrow key choose on both
        maps = b.find_elements('css selector', 'canvas.map')
        place = lambda j, i: b.execute_script(app(f'const p = a.maps[{j}].px; return [p[{2*i}], p[{2*i+1}]]'))
        at = lambda j, i: (place(j, i)[0]-maps[j].size['width']/2, place(j, i)[1]-maps[j].size['height']/2)
        i = b.execute_script(app('const {px} = a.maps[1], far = i => Math.min(...[...Array(px.length/2).keys()].filter(j => j != i).map(j => Math.hypot(px[2*i]-px[2*j], px[2*i+1]-px[2*j+1]))); return [...Array(px.length/2).keys()].reduce((m, i) => far(i) > far(m) ? i : m, 0)'))
        b.execute_script('arguments[0].scrollIntoView({block: "center"})', maps[1])
        ActionChains(b).move_to_element_with_offset(maps[1], *at(1, i)).perform()
        until(b, app(f"return a.over == {i} && a.sides.every(o => !o.map.tip.hidden && o.map.tip.textContent.startsWith(a.sides[0].D.path[{i}]))"), what='pointed at on both')
        ActionChains(b).click().perform()
        until(b, app(f"return a.chosen == {i} && [...document.querySelectorAll('.pair .panel h3')].filter(o => o.textContent == a.sides[0].D.path[{i}]).length == 2"), what='chosen on both')
        maps[0].send_keys(Keys.ARROW_LEFT)
        assert until(b, app('return a.chosen != null && [a.chosen]'))[0] != i
        maps[0].send_keys(',')
        until(b, app('return !a.moving && a.stories.map(o => o.at).join() == "3,4" && a.slider.value == 4'), what='one slider moves both')
        maps[1].send_keys('.')
        maps[0].send_keys(Keys.ESCAPE)
        assert until(b, app('return a.chosen == null && a.clock.goal == 5'))
        # each pair of emotions shows its clips, on both
        b.execute_script("document.querySelector('.pair .changes button').click()")
        seen = b.execute_script(app('return a.maps.map(o => [...o.seen.keys()].filter(i => o.seen[i]))'))
        first = both.moves.iloc[0]
        t = both.otherwise
        assert seen[0] == seen[1] == t.index[(t.iloc[:, 1] == first['from']) & (t.iloc[:, 2] == first['to'])].tolist()
        assert b.execute_script("return document.querySelectorAll('.pair .clips tbody tr').length") == len(seen[0])
        b.execute_script("document.querySelector('.basket [aria-label=\"all clips again\"]').click()")
        # a lasso on one catches on both
        next(o for o in b.find_elements('css selector', '.tools .toggle') if o.text == 'lasso').click()
        b.execute_script('arguments[0].scrollIntoView({block: "center"})', maps[0])
        w, h = maps[0].size['width'], maps[0].size['height']
        chain = ActionChains(b).move_to_element_with_offset(maps[0], -w/2+4, -h/2+4).click_and_hold()
        for x, y in ((-4, -h/2+4), (-4, h/2-4), (-w/2+4, h/2-4)): chain = chain.move_to_element_with_offset(maps[0], x, y)
        chain.release().perform()
        caught, x = b.execute_script(app('return [a.maps.map(o => [...o.seen.keys()].filter(i => o.seen[i])), [...a.maps[0].px.filter((_, j) => j % 2 == 0)]]'))
        inside = lambda edge: {i for i, v in enumerate(x) if v < edge}
        assert caught[0] == caught[1] and inside(w/2-8) <= set(caught[0]) <= inside(w/2) and 5 < len(caught[0]) < len(both.table)
        nameless = b.execute_script("return [...document.querySelectorAll('button, input, select, canvas, audio')].filter(o => !(o.getAttribute('aria-label') || o.textContent.trim() || o.labels?.length)).map(o => o.outerHTML)")
        assert nameless == []
        # another theme while all is hidden, until the frame's end: no observer sees it
        b.execute_script(app("a.theme(); const look = a.root.style; look.display = 'none'; requestAnimationFrame(() => (look.display = ''))"))
        until(b, app("return a.maps.every(o => o.stamps)"), 5, 'both are painted again')
        assert complaints(b) == []


# What Bootstrap 3 does in the classic notebook to elements and names that are ours, too.
CLASSIC = """html { font-size: 10px } h3 { margin: 20px 0 10px; font-size: 24px; font-weight: 500; line-height: 1.1 } label { display: inline-block; margin-bottom: 5px; font-weight: 700 }
output { display: block; padding-top: 7px; font-size: 14px; color: #555 } summary { display: block } .mark { padding: .2em; background: #fcf8e3 } .row { margin: 0 -15px }
.row::before, .row::after { display: table; content: ' ' } .close { float: right; font-size: 21px; opacity: .2 } .panel { margin-bottom: 20px; box-shadow: 0 1px 1px #0003 }"""


@needs_browser
def test_the_classic_notebook_changes_no_look(page, two):
    looks = """return [...document.querySelectorAll('#explorer *')].map(o => { const y = o.getBoundingClientRect(), c = getComputedStyle(o);
        return [o.tagName, o.getAttribute('class'), ...[y.width, y.height, y.left].map(Math.round), c.opacity, c.color, c.backgroundColor, c.boxShadow, c.fontSize, c.fontWeight].join(' '); })"""
    with browser(1280, 1000, still=True) as b:
        for file in page[0], two[1]:
            b.get(file.as_uri())
            until(b, app('return a.rounds'))
            b.execute_script(app("a.choose(40); document.querySelectorAll('details').forEach(o => (o.open = true))"))
            until(b, "return document.querySelector('.panel audio') || document.querySelector('.panel .sound .count')?.textContent.includes('not here')")
            until(b, app('return !a.moving && a.maps.every(o => !o.waiting)'))
            before = b.execute_script(looks)
            b.execute_script("document.head.prepend(Object.assign(document.createElement('style'), {textContent: arguments[0]}))", CLASSIC)
            after = b.execute_script(looks)
            assert len(before) > 200 and [o for o in zip(before, after) if o[0] != o[1]] == []


# ---- the widget without a browser ----

@pytest.fixture
def heard(monkeypatch):
    "An explorer, and what it says"
    learner, truth = fresh()
    x = Explorer(learner, truth, kind='pca')
    said = []
    monkeypatch.setattr(x, 'send', lambda o, buffers=None: said.append((o, buffers)))
    return x, said


def shots(x): return np.frombuffer(x._now['shot'], '<u2')


def test_what_the_page_asks_for(heard):
    x, said = heard
    n = len(x.learner.table_)
    ask = lambda **o: x._hear(x, o, [])
    assert 'label' not in x._page and x._now['label'] is None and [len(o['xy']) for o in x._story] == [2]*4 and len(shots(x)) == n
    ask(do='clip', row=n-1, id='me-1', sound=True)
    answer, buffers = said[-1]
    assert answer['id'] == 'me-1' and buffers[answer['bytes']['mp3']][:2] in (b'\xff\xf3', b'\xff\xfb', b'ID') and len(answer['data']['near']) == len(answer['data']['far']) == 6
    ask(do='clip', row=n-1, id='me-2', sound=False)
    assert 'mp3' not in said[-1][0]['bytes']
    ask(do='reveal')
    assert x._now['label'] == [*x.labels]
    ask(do='change', name='freedom', value=30)
    assert x.learner.settings['freedom'] == 30
    ask(do='change', name='prior', value='half are anger')
    assert x.learner.prior['anger'] == .5
    ask(do='reset')
    assert x.learner.settings['freedom'] == SETTINGS['freedom'] and x.learner.prior == 'unknown' and 'default' in x._now['text']
    ask(do='teach', row=10**6, emotion='anger')
    assert 'there is no clip' in x._now['text']
    ask(do='undo')
    assert 'nothing was taught' in x._now['text']


def test_teach_and_take_back(heard):
    x, said = heard
    before = x.learner.history_[-1]['proba'].clone()
    row = int(before[30:].max(1).values.argmin())+30
    emotion = x.learner.classes_[int(before[row].argmin())]
    x.teach(row, emotion).wait()
    assert len(x.learner.history_) == 6 and x.learner.label_[row] >= 0
    assert shots(x)[row] == x.learner.label_[row] and x._now['changed'] == 4 and x._now['taught'] and not x._now['running'] and len(x._story) == 6
    manifest = read_manifest(x.export(Path(os.environ.get('TMPDIR', '/tmp'))/f'taught-{os.getpid()}.csv'))
    assert len(manifest) == 31 and manifest.emotion[manifest.file == x.learner.table_.file[row]].tolist() == [emotion]
    # some at once; all or none of them
    some = [i for i in range(31, 60) if i != row][:3]
    x.teach(some, emotion).wait()
    assert (shots(x)[some] == x.learner.label_[row].item()).all()
    x.undo()
    assert (shots(x)[some] == 65535).all()
    with pytest.raises(ValueError, match='there is no clip'): x.teach([*some, 10**6], emotion)
    assert (x.learner.label_[some] == -1).all()
    x.undo()
    assert len(x.learner.history_) == 4 and x.learner.label_[row] == -1 and shots(x)[row] == 65535 and len(x._story) == 4 and torch.equal(x.learner.history_[-1]['proba'], before)
    x.start().wait()
    assert torch.allclose(x.learner.history_[-1]['proba'], before, atol=1e-5)       # the same clips, the same shots


def test_a_map_beside_an_explorer_follows_it(heard):
    "Teaching, taking back, starting anew, every setting at either end: each is told as a comparison made just then would tell it, and the explorer goes on"
    x, _ = heard
    x.teach([40, 41, 42], 'fear').wait()
    both = x.beside(layouts=('pca',))
    fear = lambda: sum(np.frombuffer(both._now['shot'][1], '<u2')[40:43] < 65535)
    assert fear() == 3
    ask = lambda **o: x._hear(x, o, [])
    ends = [(k, v) for k, (_, *ends, _, _) in _KNOBS.items() for v in ends]
    change = lambda k, v: lambda: (ask(do='change', name=k, value=v), x.go_on(1))
    for act in (x.undo, lambda: x.teach(43, 'anger'), x.start, *(change(*o) for o in ends), lambda: (ask(do='reset'), x.start())):
        told, shots = both._now['told'], both._now['shots'][1]
        act()
        x.wait()
        fresh = compare(both.learners[0], x, both.names, layouts=('pca',))
        assert both._now['told'] > told     # or the page would not look
        assert both._now['shot'] == fresh._now['shot'] and both._page['common'] == fresh._page['common']
        for mine, its in (both._story_a, fresh._story_a), (both._story_b, fresh._story_b):
            assert [(o['p'], set(o['xy'])) for o in mine] == [(o['p'], set(o['xy'])) for o in its]
        if act == x.undo: assert fear() == 0 and both._now['shots'][1] > shots
        assert not any(o in x._now['text'] for o in ('Error', 'must match')), x._now['text']
    assert len(both._story_b) == 4


def test_stop_and_errors_are_told(heard, monkeypatch):
    x, said = heard
    slow = type(x.learner).step
    monkeypatch.setattr(type(x.learner), 'step', lambda self: (time.sleep(.2), slow(self))[1])
    x.go_on(30)
    with pytest.raises(ValueError, match='a fit is under way'): x.start()
    time.sleep(.3)
    x.stop().wait()
    assert 4 < len(x.learner.history_) < 34 and 'stopped' in x._now['text'] and not x._now['running']
    def broken(self): raise RuntimeError('no memory')
    monkeypatch.setattr(type(x.learner), 'step', broken)
    x.go_on(1).wait()
    assert 'no memory' in x._now['text']
    for wrong, says in (dict(kind='tsne'), 'There are'), (dict(labels=['a']), '1 labels for'):
        with pytest.raises(ValueError, match=says): Explorer(x.learner, **wrong)


def test_a_page_replaces_only_what_was_written_before(heard, tmp_path):
    x, _ = heard
    small = dict(audio_mb=0, layouts=('pca',))
    own = tmp_path/'own.html'
    own.write_text('my notes')
    with pytest.raises(ValueError, match='own.html: is there already, and nothing says that sere wrote it') as told: x.to_html(own, **small)
    assert own.read_text() == 'my notes' and '\n' not in str(told.value)
    page = x.to_html(tmp_path/'new'/'page.html', **small)
    first = page.read_bytes()
    assert x.to_html(page, title='again', **small) == page and page.read_bytes() != first
    page.write_text('changed')
    with pytest.raises(ValueError, match='has been changed since sere wrote it'): x.to_html(page, **small)
    with pytest.raises(ValueError, match='is there already'): x.export(own)
    assert page.read_text() == 'changed' and own.read_text() == 'my notes'


def test_from_before_the_first_round():
    shots, rest = clips()
    x = Explorer(SERE(rounds=2).begin(shots, rest[:60]), kind='circumplex')
    assert not x._laid and len(x.selected) == 0
    x.start().wait()
    assert len(x.learner.history_) == 3 and set(x._laid) == {'pca', 'circumplex'}
    x.learner.change(loud=0.)       # profiles of other width: the ground is laid anew
    x.go_on(1).wait()
    assert len(x.learner.history_) == 4


# ---- in JupyterLab ----

@pytest.fixture
def lab(tmp_path):
    "The quickstart in JupyterLab, with some hostile names"
    nb = json.loads((Path(__file__).parent.parent/'nbs'/'tutorials'/'01_quickstart.ipynb').read_text())
    for c in nb['cells']:
        c['source'] = ''.join(c['source']).replace('explorer = Explorer(', f"learner.table_.loc[100:{99+len(HOSTILE)}, 'path'] = {HOSTILE!r}\nexplorer = Explorer(")
    with served(tmp_path, nb) as url: yield url, tmp_path/'work'


def paired(script): return app(script).replace('o => o.explorer', 'o => o.explorer?.sides')


@needs_browser
def test_the_quickstart_in_jupyterlab(lab):
    url, folder = lab
    with browser(1280, 1100) as b:
        opened(b, url)
        menu(b, 'Run', 'Run All Cells')
        # clips settle while one watches, then one is taught by the notebook: eleven rounds, and two more
        assert until(b, app('return a.rounds >= 1'), 120, 'the map')
        assert until(b, app('return a.rounds == 13 && a.rounds'), 120, 'all cells have run')
        # where Run All has brought the reader, the map can be seen and played
        until(b, "return [...document.querySelectorAll('.sere .time button')].some(o => { const y = o.getBoundingClientRect(); return y.height && y.top >= 0 && y.bottom <= innerHeight; })", 60, 'the widget is in view')
        until(b, app('return !a.moving'), 30)
        b.execute_script(app("document.querySelector('.sere').scrollIntoView()"))
        first = b.execute_script(app('return [...Array(240).keys()].map(a.where)'))
        b.execute_script(app('a.go(0)'))
        until(b, app('return a.round == 0 && !a.moving'))
        start = b.execute_script(app('return [...Array(240).keys()].map(a.where)'))
        assert (np.linalg.norm(np.subtract(first, start), axis=1) > 3).mean() > .5
        until(b, app("a.play(); return true"))
        until(b, app('return a.round == 12 && !a.moving'), 30, 'play goes to the end')
        # a click plays the right clip, and the kernel knows which
        canvas = b.find_element('css selector', 'canvas.map')
        b.execute_script('arguments[0].scrollIntoView({block: "center"})', canvas)
        at = np.asarray(b.execute_script(app('return [...Array(240).keys()].map(a.where)')))
        alone = int(max(range(120, 240), key=lambda i: np.sort(np.linalg.norm(at-at[i], axis=1))[1]))
        from selenium.webdriver import ActionChains
        ActionChains(b).move_to_element_with_offset(canvas, at[alone][0]-canvas.size['width']/2, at[alone][1]-canvas.size['height']/2).click().perform()
        until(b, app(f'return a.chosen == {alone} && a.player && !a.player.paused && a.player.dataset.i == "{alone}" && a.player.src.length > 5000'), 20, 'the clip plays')
        until(b, "return document.querySelector('.panel .picture image')", what='its picture')
        # what is taught in the page changes the fit; it can be taken back
        before = b.execute_script(app(f'return a.called({alone})'))
        other = 'fear' if before != 'fear' else 'anger'
        b.execute_script(f"document.querySelector('.teach select').value = '{other}'; document.querySelector('.teachit').click()")
        until(b, app(f"return a.rounds == 15 && !a.moving && a.called({alone}) == '{other}'"), 30, 'the fit goes on')
        until(b, paired(f'return a.stories.map(o => o.end).join() == "10,14" && a.stories.map(o => +o.isShot({alone})).join() == "0,1"'), what='the map beside it follows')
        until(b, app("const o = a.root.querySelector('.changes'), r = a.story.rounds, n = r[14].e.filter((k, i) => k != r[12].e[i]).length; return o.hidden ? n == 0 : [...o.querySelectorAll('button')].reduce((m, x) => m + +x.textContent.split(': ')[1], 0) == n"), what='from what, to what')
        until(b, "return !document.querySelector('.fit .row button:nth-child(4)').disabled")
        b.execute_script("document.querySelector('.fit .row button:nth-child(4)').click()")
        until(b, app(f"return a.rounds == 13 && a.called({alone}) == '{before}'"), 30, 'it is taken back')
        until(b, paired(f'return a.stories[1].end == 12 && !a.stories[1].isShot({alone})'), what='the map beside it follows')
        b.execute_script("[...document.querySelectorAll('.fit button')].find(o => o.textContent == 'reveal labels').click()")
        until(b, "return [...document.querySelectorAll('.curves text')].some(o => o.textContent == 'UAR')", what='UAR')
        # what the filters leave can be selected without a mouse
        b.execute_script("document.querySelector('.filters').open = true; [...document.querySelectorAll('.filters button')].find(o => o.textContent == 'select these').click()")
        until(b, "return [...document.querySelectorAll('.sere [role=status]')].some(o => o.textContent == '240 clips selected')")
        # a clip on two maps: what each heard in it, one of them aloud
        b.execute_script(paired(f"a.root.scrollIntoView(); a.choose({alone}, true, a.sides[1])"))
        until(b, paired(f"return a.sides.every(o => o.element && o.panel.player?.dataset.i == '{alone}' && o.panel.element.querySelector('.picture image')) && !a.sides[1].panel.player.paused && a.sides[0].panel.player.paused"), 20, 'both pictures')
        # other views: each has a ground of its own from now on; what was chosen stays so
        b.execute_script("const o = [...document.querySelectorAll('.fit input[type=range]')].find(o => o.getAttribute('aria-label').startsWith('loud')); o.value = 0; o.dispatchEvent(new Event('change')); document.querySelector('.fit .row button:nth-child(3)').click()")
        until(b, paired(f"return !a.both.common && a.stories[1].rounds.length == 2 && a.chosen == {alone}"), 30, 'two grounds')
        # in the dark
        menu(b, 'Settings', 'Theme', 'JupyterLab Dark')
        until(b, "return document.body.dataset.jpThemeLight == 'false' && [...document.querySelectorAll('.sere')].every(o => o.explorer?.maps.every(m => m.stamps?.ink == getComputedStyle(o).getPropertyValue('--ink').trim()))", 10, 'all maps in its colours')
        # hostile names stay text
        for i in range(100, 100+len(HOSTILE)):
            b.execute_script(app(f'a.choose({i})'))
            until(b, f"return document.querySelector('.panel h3')?.textContent == {json.dumps(HOSTILE[i-100])}", what=HOSTILE[i-100])
        assert b.execute_script('return window.hit ?? null') is None
        assert (folder/'quickstart.html').stat().st_size > 1e6
        assert complaints(b) == []


def test_an_audit_of_an_explorer(tmp_path):
    "It is about the answers it began with, asks about no shot, and goes on"
    learner, truth = fresh()
    explorer = Explorer(learner, kind='pca')
    open_rows = np.flatnonzero((learner.label_ < 0).numpy())
    shot = int(np.flatnonzero((learner.label_ >= 0).numpy())[0])
    rows = [shot, *open_rows[:-5]]
    audit = explorer.audit(tmp_path/'a', clips=12, unsure=3, rows=rows)
    paths = list(learner.table_.path)
    assert len(audit.names) == 12 and set(audit.run.names) == {paths[o] for o in open_rows[:-5]}
    assert np.allclose(audit.run.p, learner.predict_proba(open_rows[:-5]), atol=1e-5)
    assert audit.state()['clips'][0] == dict(name='', said='', model=None)      # nobody is told what the model thinks
    of = dict(zip(paths, truth))
    said = iter([of[o] for o in audit.names])
    audit.by_keys(lambda _: next(said), show=lambda o: None, player=lambda o: True)
    was, before = audit.outcome(), (tmp_path/'a'/'predictions.csv').read_bytes()
    explorer.teach(paths.index(audit.names[0]), str(learner.classes_[0])).wait()
    again = explorer.audit(tmp_path/'a', clips=12, unsure=3)
    assert again.outcome() == was and (tmp_path/'a'/'predictions.csv').read_bytes() == before
    other = explorer.audit(tmp_path/'b', clips=12, unsure=3)
    assert audit.names[0] not in other.run.names       # what was taught judges nothing
    idle = copy.copy(explorer._shown)
    idle.history_ = []
    explorer._shown = idle      # as one that has begun, and has no rounds yet
    with pytest.raises(ValueError, match='Start first'): explorer.audit(tmp_path/'c')
    assert not (tmp_path/'c').exists()
    explorer._shown = learner
    (tmp_path/'d').mkdir()
    (tmp_path/'d'/'predictions.csv').write_text('mine')
    with pytest.raises(ValueError, match='Give a folder'): explorer.audit(tmp_path/'d')
    assert (tmp_path/'d'/'predictions.csv').read_text() == 'mine'


def test_the_map_keeps_neighbours_as_well_as_umap_learn_does():
    from sklearn.datasets import make_blobs
    from sklearn.manifold import trustworthiness
    from sere_nb.layout import _umap, _umap_learn
    rows, _ = make_blobs(300, 12, centers=6, cluster_std=2., random_state=0)
    rows = torch.nn.functional.normalize(torch.as_tensor(rows, dtype=torch.float32), dim=1)
    start = rows[:, :2]
    threads = torch.get_num_threads()
    ours, theirs, plain = (trustworthiness(rows, o, n_neighbors=10, metric="cosine") for o in (_umap(rows, start, 0), _umap_learn(rows, start, 0), start))
    assert ours > theirs-.02 > plain
    assert torch.get_num_threads() == threads
