import assert from 'node:assert/strict';
import {test} from 'node:test';
import {cell, csv, moves} from '../../sere_nb/front/basket.js';
import {spread, whyLess} from '../../sere_nb/front/chart.js';
import {range, unpack} from '../../sere_nb/front/field.js';
import {within} from '../../sere_nb/front/hand.js';
import {distinct, sorted} from '../../sere_nb/front/list.js';
import {same} from '../../sere_nb/front/link.js';
import {ease} from '../../sere_nb/front/map.js';
import {level} from '../../sere_nb/front/stamps.js';
import {heardThere, lead, share, why} from '../../sere_nb/front/why.js';
import {story} from './made.js';

test('names at the ends of lines do not lie on each other', () => {
  const ends = spread([50, 51, 52, 10], 120);
  const ys = ends.map(o => o.y).sort((a, b) => a - b);
  assert.deepEqual(new Set(ends.map(o => o.j)), new Set([0, 1, 2, 3]));
  assert.ok(ys.every((y, j) => !j || y - ys[j - 1] >= 12));
  assert.ok(spread([119, 120, 121], 120).every(o => o.y <= 120));
});

test('round numbers on an axis', () => {
  assert.deepEqual(
    range(0.05, 0.31, 0.1).map(t => t.toFixed(1)),
    ['0.1', '0.2', '0.3'],
  );
  assert.deepEqual(range(0, 2, 1), [0, 1, 2]);
  assert.deepEqual(range(0.41, 0.45, 0.1), []);
});

test('a field, unpacked', () => {
  const r = Uint8Array.from([0, 255, 51, 102]);
  const weight = Uint8Array.from([255, 0]);
  const o = {r, weight, low: -1, high: 1, first_s: 0.5, last_s: 1};
  const f = unpack(o, 2);
  assert.deepEqual([f.n, f.low, f.high, f.at(0), f.at(1)], [2, -1, 1, 0.5, 1]);
  assert.deepEqual([f.value(0, 0), f.value(0, 1)], [-1, 1]);
  assert.ok(Math.abs(f.value(1, 0) + 0.6) < 1e-9);
  const flat = unpack({...o, r: new Uint8Array(4)}, 2);
  assert.ok(flat.high > flat.low); // something to draw on
});

test('inside and outside of a line with a notch', () => {
  const u = [
    [0, 0],
    [3, 0],
    [3, 3],
    [2, 3],
    [2, 1],
    [1, 1],
    [1, 3],
    [0, 3],
  ];
  const inside = [
    [0.5, 2],
    [2.5, 2],
    [1.5, 0.5],
  ];
  const outside = [
    [1.5, 2],
    [-1, 1],
    [4, 1],
    [1.5, -1],
  ];
  assert.ok(inside.every(([x, y]) => within(u, x, y)));
  assert.ok(!outside.some(([x, y]) => within(u, x, y)));
});

test('what can be chosen from', () => {
  assert.deepEqual(distinct(['b', 'a', '', 'b'], 5), ['a', 'b']);
  assert.equal(distinct(['a', 'a'], 5), null); // nothing to choose
  assert.equal(distinct(['a', 'b', 'c'], 2), null); // too much
  assert.equal(distinct(undefined, 2), null);
});

test('rows are sorted as people sort', () => {
  const order = (keys, down) => sorted(keys, down).map(i => keys[i]);
  assert.deepEqual(order(['s10', 's9', 's1'], false), ['s1', 's9', 's10']);
  assert.deepEqual(order([0.2, 10, 9], true), [10, 9, 0.2]);
  assert.deepEqual(sorted([1, 1, 1], true), [0, 1, 2]); // ties as they came
});

test('easing starts and ends at rest', () => {
  assert.deepEqual([ease(0), ease(0.5), ease(1)], [0, 0.5, 1]);
  assert.ok(ease(0.01) < 0.001);
});

test('the surer, the fuller', () => {
  const all = Array.from({length: 256}, (_, v) => level(v));
  assert.ok(all.every((l, v) => !v || l >= all[v - 1]));
  assert.equal(new Set(all).size, 5);
});

test('rounds that were told already are told once', () => {
  const told = [{v: 1}, {v: 2}, {v: 5}];
  assert.equal(same(told, [1, 2, 3]), 2);
  assert.equal(same(told, []), 0);
  assert.equal(same(told, [1, 2, 5, 6]), 3);
});

test('a list of clips, as CSV', () => {
  assert.deepEqual(
    [cell('a,b'), cell('say "a"'), cell('a'), cell(null)],
    ['"a,b"', '"say ""a"""', 'a', ''],
  );
  const o = story();
  o.at = 2;
  const text = csv(o, [0, 1]);
  assert.equal(
    text,
    'path,emotion,confidence\na.wav,anger,1.0000\nb.wav,fear,0.7000\n',
  );
});

test('who turned from what to what', () => {
  const found = moves([0, 0, 1, 1], [1, 1, 1, 0]);
  assert.deepEqual(found, [
    {from: 0, to: 1, rows: [0, 1]},
    {from: 1, to: 0, rows: [3]},
  ]);
});

test('falling certainty is explained from the numbers, and only where it falls', () => {
  const round = (certain, spread_) => ({certain, losses: {spread: spread_}});
  assert.equal(whyLess([round(0.5, 1), round(0.6, 2)]), '');
  assert.match(whyLess([round(0.6, 1), round(0.5, 2)]), /from round 0 to 1: .* wider/);
  assert.match(whyLess([round(0.6, 2), round(0.5, 1)]), /near a border/);
});

test('what decided, and what was assumed', () => {
  assert.deepEqual([share(1 / 7, 7), share(0.5, 7)], ['1/7', '50 %']);
  const o = story();
  o.D.corpus = ['de', 'it', 'it', 'it'];
  o.rounds.forEach(q => (q.due = {it: [0.5, 0.5]}));
  o.at = 2;
  assert.equal(why(o, 0), 'It is a shot: its label says anger.');
  const said = why(o, 1);
  assert.match(said, /^Called fear \(70 %\), before anger \(30 %\), since round 1\./);
  assert.match(said, /fear has its due, 1\/2 of the clips of it without label/);
  o.now.due.it = [1, 0];
  assert.match(why(o, 1), /assumed that none of the clips of it without label is fear/);
  const value = (t, k) => (t == 1 && k == 1 ? 0.5 : 0.1);
  const field = {n: 3, at: t => t, value};
  assert.deepEqual(lead(field, 0.5, 1.5, 1, 0), {there: 0.4, elsewhere: 0});
  assert.equal(lead(field, 7, 8, 1, 0), null);
  assert.match(
    why(o, 1, {from_s: 0.5, to_s: 1.5}, field),
    /fear leads anger by \+0\.40/,
  );
});

test('what is heard in the highlight, only where something is sure', () => {
  assert.equal(heardThere(undefined), null);
  assert.equal(heardThere({from_s: 1, to_s: 2, heard: '', sounds: []}), null);
  const sounds = [1.26, -0.8, null];
  const o = {from_s: 1.2, to_s: 1.9, heard: 'higher than usual for this voice', sounds};
  assert.deepEqual(heardThere(o), [
    '1.20 to 1.90 s: higher than usual for this voice.',
    'In standard deviations of what is usual: pitch +1.3, loudness −0.8',
  ]);
});
