import assert from 'node:assert/strict';
import {test} from 'node:test';
import {meaning, verdict} from '../../sere_nb/front/audit.js';

const CHOICES = ['anger', 'fear', 'another emotion', '?'];

test('a number is the emotion of that place, and nothing beyond', () => {
  assert.deepEqual(meaning('1', CHOICES), {choose: 'anger'});
  assert.deepEqual(meaning('3', CHOICES), {choose: 'another emotion'});
  assert.deepEqual(meaning('4', CHOICES), {});
});

test('? and 0 say that nobody can tell', () => {
  assert.deepEqual(meaning('?', CHOICES), {choose: '?'});
  assert.deepEqual(meaning('0', CHOICES), {choose: '?'});
});

test('other keys go back, play again, or do nothing', () => {
  assert.deepEqual(meaning('b', CHOICES), {act: 'back'});
  assert.deepEqual(meaning('r', CHOICES), {act: 'again'});
  assert.deepEqual(meaning('x', CHOICES), {});
  assert.deepEqual(meaning('constructor', CHOICES), {});
});

test('what was heard stands beside what the model thinks', () => {
  const clip = {name: 'a.wav', said: '?', model: {emotion: 'fear', p: 0.614}};
  assert.equal(
    verdict(clip),
    'a.wav. You: nobody can tell. The model: fear (61 %).',
  );
});
