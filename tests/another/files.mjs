// What people and publishers read besides releases: keyrings, and the record of the last publish.
import { Refused, attempt, canonical, fits, int, isMap, need, strict } from './json.mjs';
import {
  BOX, DOCUMENT, HEX, NAME, TEXT, b64, bech32, cursor, hex, isKey, key32, openBox, past, publicOf, readEd25519, readIdentity, signers,
  sodium, trust,
} from './reader.mjs';

export const signingSeed = (secret) => Buffer.from(sodium.crypto_generichash(32, 'sealpipe.sign.1\n', secret));

const w = 'malformed-key', point = (b) => need(BigInt(`0x${hex(Buffer.from(b).reverse())}`) < 2n ** 255n - 19n, w)
  && attempt(() => sodium.crypto_scalarmult(Buffer.alloc(32, 1), b), w) && b;
export const readKey = {
  identity: readIdentity, ed25519: readEd25519, x25519: (t) => point(key32('x25519:')(t)),
  machine: (t) => need(!/^age-secret-key-/i.test(t), 'unsupported-key') && bech32('sealpipe-signing-key-')(t.trim()),
  recipient: (t) => need(!/^(age1pq|age1[^1]*1|ssh-)/.test(t), 'unsupported-key') && point(bech32('age')(t.trim())),
};
const pub = isKey(readKey.x25519), boxes = { '*': [NAME, BOX] };
const KEYRING = {
  format: (v) => v === 1, project: HEX(32), environment: NAME, version: int(1, 2 ** 31), 'past?': past, people: { public: pub },
  keys: { '*': [DOCUMENT, { public: pub, private: boxes, 'previous?': [{ public: pub, private: BOX }] }] },
  readers: { '*': [NAME, (v) => fits(v, { read: (r) => fits(r, /^age1[a-z0-9]+$/) && isKey(readKey.recipient)(r), kind: /^(person|machine)$/, 'unit?': /^[a-z0-9_-]+\/[a-z0-9_-]+$/,
    'box?': BOX, 'since?': TEXT }) && ('box' in v) === (v.kind === 'person') && ('unit' in v) === (v.kind === 'machine')] },
};

export const trustOf = (t) => trust(Buffer.from(canonical(t)), Buffer.from(t.project, 'hex'));

// Document → its private keys, current first, that `secret` opens; nothing for who is no reader.
export function keyring(data, t, environment, secret) {
  const { signatures = [], ...body } = data, word = 'malformed-keyring', named = Object.entries(body.readers ?? {});
  need(attempt(() => fits(body, KEYRING), word) && fits(signatures, [{ by: NAME, sig: /^[\w-]{86}$/ }]) && signatures.length <= 16, word);
  need(new Set(named.map(([, r]) => r.read)).size === named.length && !body.readers.people, word);
  need(Object.values(body.keys).every((k) => Object.keys(k.private).every((n) => n === 'people' || body.readers[n]?.unit)), word);
  need(body.project === t.project && body.environment === environment, 'foreign-keyring');
  const admins = t.role(environment, 'admins'), known = signatures.filter((s) => t.keys[s.by]?.sign);
  const list = known.map((s) => ({ key: hex(readKey.ed25519(t.keys[s.by].sign)), signature: b64(s.sig, word) }));
  need(attempt(() => signers('KEYRING', Buffer.from(canonical(body)), list, admins), 'unsigned-keyring')(admins), 'unsigned-keyring');
  const [name, me] = named.find(([, r]) => readKey.recipient(r.read).equals(publicOf(secret))) ?? [];
  const is = (stated) => (found) => found.equals(readKey.x25519(stated));
  const [as, key] = me?.box ? ['people', openBox(b64(me.box), secret, is(body.people.public))] : [name, secret];
  return Object.fromEntries(Object.entries(body.keys).filter(([, k]) => as in k.private).map(([document, k]) => {
    const current = openBox(b64(k.private[as]), key, is(k.public));
    return [document, [current, ...(k.previous ?? []).map((old) => openBox(b64(old.private), current, is(old.public)))].map(hex)];
  }));
}

// The record of the last publish; null where it does not count.
export function state(b, t, environment) {
  try {
    need(b.length <= 16384 && b.subarray(0, 17).equals(Buffer.from('SEALPIPE-STATE-1\n')), 'malformed-state');
    const r = cursor(b, 'malformed-state', 17), { list, body } = r.block(), roles = ['publishers', 'break_glass'].map((n) => t.role(environment, n));
    need(r.end() && signers('STATE', body, list, ...roles)({ need: 1, keys: roles.flatMap((x) => x.keys) }), 'untrusted-signature');
    const s = strict(body);
    need(isMap(s), 'malformed-state');
    const { project, environment: e, commit = '', batch = '', publisher = '', at = '', superseded = '' } = s;
    need(fits([commit, batch, publisher, at, superseded], [TEXT]) && /^([0-9a-f]{40}|[0-9a-f]{64})?$/.test(commit), 'malformed-state');
    return need(project === t.project && e === environment, 'foreign-project') && { commit, batch, publisher, at, superseded };
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}
