import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Kernel, ours} from '../../sere_nb/front/audit_widget.js';

// A kernel that answers when it is told to.
function made(patience = 1e4) {
  const sent = [];
  const late = [];
  const model = {send: o => sent.push(o), get: () => ({at: 3})};
  const kernel = new Kernel(model, o => late.push(o), patience);
  return {kernel, sent, late};
}

test('a label goes to the kernel, and its new state comes back', async () => {
  const {kernel, sent} = made();
  const told = kernel.label(2, 'fear');
  const [{id, ...o}] = sent;
  assert.deepEqual(o, {do: 'label', clip: 2, emotion: 'fear'});
  kernel.hear({id, state: {at: 4}});
  assert.deepEqual(await told, {at: 4});
  assert.equal(kernel.asked.size, 0);
});

test('what could not be kept is told', async () => {
  const {kernel, sent} = made();
  const told = kernel.label(2, 'fear');
  kernel.hear({id: sent[0].id, error: 'no space left'});
  assert.deepEqual(await told, {error: 'no space left'});
});

test('an answer to somebody else is passed over', () => {
  const {kernel, sent, late} = made();
  kernel.label(0, 'fear');
  kernel.hear({id: 'x-1', state: {}});
  assert.equal(kernel.asked.size, 1);
  assert.deepEqual(late, []);
  kernel.close();
  assert.equal(sent.length, 1);
});

test('a sound becomes an address; one that cannot be had is empty', async () => {
  const {kernel, sent} = made();
  const sound = kernel.sound(1);
  kernel.hear({id: sent[0].id}, [new DataView(new ArrayBuffer(8))]);
  assert.match(await sound, /^blob:/);
  const none = kernel.sound(2);
  kernel.hear({id: sent[1].id, error: 'no such file'}, []);
  assert.equal(await none, '');
});

test('a kernel that takes long is spoken of until it answers', async () => {
  const {kernel, sent, late} = made(5);
  const told = kernel.end();
  await new Promise(done => setTimeout(done, 30));
  assert.deepEqual(late, [true]);
  kernel.hear({id: sent[0].id, text: 'kept'});
  assert.equal((await told).text, 'kept');
  assert.deepEqual(late, [true, false]);
});

test('keys of the notebook stay here; those with a modifier go on', () => {
  const key = (name, more) => ours({key: name, ...more});
  const here = ['b', 'x', '1', '?', ' ', 'ArrowDown', 'Enter'].map(o => key(o));
  assert.deepEqual(here, Array(7).fill(true));
  assert.equal(key('s', {ctrlKey: true}), false);
  assert.equal(key('Enter', {shiftKey: true}), false);
  assert.equal(key('Escape'), false);
  assert.equal(key('Tab'), false);
});
