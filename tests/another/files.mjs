// What people and publishers read besides releases: keyrings and the record of the last publish.
import { BOX, DOCUMENT, HEX, NAME, TIME, TRUST, UNIT, b64, canonical, cursor, fits, hex, int, isKey, need, no, openBox, readKey, signers, strict, text, trust } from './reader.mjs';

export const trustOf = (g) => trust(Buffer.from(canonical(strict(Buffer.from(JSON.stringify(g.trust))))), Buffer.from(g.trust.project, 'hex'));
// Keyring and state
const boxes = { '*': [NAME, BOX] }, pub = isKey('x25519');
const KEYRING = { format: (v) => v === 1, project: HEX(32), environment: NAME, version: int(1), 'past?': TRUST['past?'], people: { public: pub },
  keys: { '*': [DOCUMENT, { public: pub, private: boxes, 'previous?': [{ public: pub, private: BOX }] }] },
  readers: { '*': [NAME, (v) => fits(v, { read: isKey('recipient'), kind: /^(person|machine)$/, 'unit?': UNIT, 'box?': BOX, 'since?': text(128) })
    && (v.kind === 'person' ? v.box && !v.unit : v.unit && !v.box)] } };
export function keyring(data, t, environment, name, secret) {
  const { signatures, ...body } = data, admins = t.role(environment, 'admins');
  const list = signatures.map((s) => ({ key: hex(readKey.ed25519(t.keys[s.by]?.sign ?? no('malformed-keyring'))), signature: b64(s.sig, 'malformed-keyring') }));
  need(signers('KEYRING', Buffer.from(canonical(body)), list, admins)(admins), 'unsigned-keyring');
  need(fits(body, KEYRING), 'malformed-keyring');
  need(body.project === t.project && body.environment === environment, 'foreign-keyring');
  const me = body.readers[name] ?? no('unknown-reader'), is = (text) => (p) => p.equals(readKey.x25519(text));
  const [as, key] = me.box ? ['people', openBox(b64(me.box), secret, is(body.people.public))] : [name, secret];
  return Object.fromEntries(Object.entries(body.keys).filter(([, k]) => as in k.private).map(([document, k]) => {
    const current = openBox(b64(k.private[as]), key, is(k.public));
    return [document, [current, ...(k.previous ?? []).map((old) => openBox(b64(old.private), current, is(old.public)))].map(hex)];
  }));
}
export function state(b, t, environment) {
  need(b.length <= 16384 && b.subarray(0, 17).equals(Buffer.from('SEALPIPE-STATE-1\n')), 'malformed-state');
  const r = cursor(b, 'malformed-state', 17), { list, body } = r.block(), roles = ['publishers', 'break_glass'].map((n) => t.role(environment, n));
  r.end();
  need(signers('STATE', body, list, ...roles)({ need: 1, keys: roles.flatMap((x) => x.keys) }), 'untrusted-signature');
  const s = strict(body, 'malformed-state'), any = (v) => typeof v === 'string';
  need(fits(s, { project: HEX(32), environment: NAME, commit: any, batch: any, publisher: any, at: TIME, 'superseded?': any }), 'malformed-state');
  return need(s.project === t.project && s.environment === environment, 'foreign-project') && s;
}
