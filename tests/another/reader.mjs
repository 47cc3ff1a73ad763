// A reader of sealpipe's formats, written from docs/FORMAT.md alone. It shares no code with the package.
import sodium from 'libsodium-wrappers-sumo';
await sodium.ready;

export class Refused extends Error {}
export const no = (word) => { throw new Refused(word); };
export const need = (ok, word) => ok || no(word);
const attempt = (work, word) => { try { return work(); } catch { return no(word); } };
const cat = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
export const hex = (bytes) => Buffer.from(bytes).toString('hex');
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };
const lp = (x) => cat(u32(Buffer.byteLength(x)), x);
const H = (n, label, x) => Buffer.from(sodium.crypto_generichash(n, cat(label, '\n', x)));
export const digest = (label, x) => hex(H(32, `sealpipe.${label}.1`, x));
export const keyId = (pub) => hex(H(8, 'sealpipe.kid.1', pub));
export const b64 = (text, word) => {
  const bytes = Buffer.from(text, 'base64url');
  return need(/^[\w-]*$/.test(text) && bytes.toString('base64url') === text, word) && bytes;
};
const utf8 = (b, word) => attempt(() => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(b), word);

// JSON. A float is a Number object, an integer a primitive: as names of list elements 1 and 1.0 are not alike.
const isMap = (v) => v !== null && typeof v === 'object' && !Array.isArray(v) && !(v instanceof Number);
export function canonical(v) {
  if (Array.isArray(v)) return `[${v.map(canonical).join()}]`;
  return isMap(v) ? `{${Object.keys(v).sort().map((k) => `${canonical(k)}:${canonical(v[k])}`).join()}}` : JSON.stringify(v);
}
export function strict(bytes, word = 'malformed-json', levels = 64) {
  const text = utf8(bytes, word), bad = () => no(word);
  let at = 0;
  const take = (re) => { re.lastIndex = at; const m = re.exec(text); at = m ? re.lastIndex : at; return m?.[0]; };
  const next = (re) => { take(/[ \t\n\r]*/y); const m = take(re); take(/[ \t\n\r]*/y); return m; };
  const string = () => {
    const s = JSON.parse(next(/"(?:[^"\\\0-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y) ?? bad());
    return /\p{Surrogate}/u.test(s) ? bad() : s;
  };
  const number = (lit) => {
    const n = Number(lit), whole = /^-?\d+$/.test(lit);
    need(Number.isFinite(n) && (!whole || Number.isSafeInteger(n) || canonical(n) === lit), word);
    return whole && Number.isSafeInteger(n) ? n + 0 : new Number(n);
  };
  const value = (level) => {
    const open = next(/[[{]/y), plain = open ?? next(/true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y);
    if (!open) return plain === undefined ? string() : /^[tfn]/.test(plain) ? JSON.parse(plain) : number(plain);
    const list = open === '[', out = list ? [] : Object.create(null), close = list ? /]/y : /}/y;
    if (level > levels) bad();
    if (next(close)) return out;
    do {
      const key = list ? out.length : string();
      if (!list && (!next(/:/y) || key in out)) bad();
      out[key] = value(level + 1);
    } while (next(/,/y));
    return next(close) ? out : bad();
  };
  const out = value(1);
  return at === text.length ? out : bad();
}
// Forms: a pattern, a test, [each], {field: form, 'optional?': form} or {'*': [name, each]}.
export function fits(v, f) {
  if (f instanceof RegExp) return typeof v === 'string' && f.test(v);
  if (typeof f === 'function') return f(v);
  if (Array.isArray(f)) return Array.isArray(v) && v.every((each) => fits(each, f[0]));
  if (f['*']) return isMap(v) && Object.entries(v).every(([k, each]) => fits(k, f['*'][0]) && fits(each, f['*'][1]));
  return isMap(v) && Object.keys(v).every((k) => k in f || `${k}?` in f)
    && Object.entries(f).every(([k, g]) => (k.endsWith('?') && !(k.slice(0, -1) in v)) || fits(v[k.replace('?', '')], g));
}
export const int = (low) => (v) => Number.isSafeInteger(v) && v >= low, any = () => true, bool = (v) => typeof v === 'boolean';
export const text = (most, least = 0) => (v) => typeof v === 'string' && [...v].length <= most && [...v].length >= least
  && !/[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(v);
const or = (other, f) => (v) => v === other || fits(v, f);
export const NAME = /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/, DOCUMENT = /^_?[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/;
export const HEX = (n) => new RegExp(`^[0-9a-f]{${n}}$`), COMMIT = /^([0-9a-f]{40}|[0-9a-f]{64})$/;
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$/, POINTER = /^(\/([^~/]|~[01])*)*$/u;
export const UNIT = /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?\/_?[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/;

// Keys
const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l', w = 'malformed-key';
function bech32(prefix, spelt) {
  const data = [...spelt.slice(prefix.length + 1)].map((c) => BECH32.indexOf(c)), gens = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
  need(spelt.startsWith(`${prefix}1`) && data.length === 58 && !data.includes(-1), w);
  const codes = [...prefix].map((c) => c.charCodeAt(0));
  const sum = [...codes.map((c) => c >> 5), 0, ...codes.map((c) => c & 31), ...data].reduce(
    (c, v) => gens.reduce((x, g, i) => ((c >>> 25 >> i) & 1 ? x ^ g : x), ((c & 0x1ffffff) << 5) ^ v), 1);
  const bits = data.slice(0, 52).map((v) => v.toString(2).padStart(5, '0')).join('');
  return need(sum === 1 && bits.endsWith('0000'), w) && Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
}
const P = 2n ** 255n - 19n, capitals = (p) => (t) => need(t === t.toUpperCase(), w) && bech32(p, t.toLowerCase());
const point = (b) => need(BigInt(`0x${hex(Buffer.from(b).reverse())}`) < P, w)
  && attempt(() => sodium.crypto_scalarmult(Buffer.alloc(32, 1), b), w) && b;
const key32 = (label) => (t) => need(t.startsWith(label) && t.length === label.length + 43, w) && b64(t.slice(label.length), w);
export const readKey = {
  identity: capitals('age-secret-key-'), machine: capitals('sealpipe-signing-key-'), ed25519: key32('ed25519:'),
  recipient: (t) => need(!/^(age1pq|age1[a-z0-9]*1|ssh-)/.test(t), 'unsupported-key') && point(bech32('age', t)),
  x25519: (t) => point(key32('x25519:')(t)),
};
export const isKey = (kind) => (v) => { try { return readKey[kind](v); } catch { return false; } };
export const publicOf = (secret) => Buffer.from(sodium.crypto_scalarmult_base(secret));
export const signingSeed = (secret) => Buffer.from(sodium.crypto_generichash(32, 'sealpipe.sign.1\n', secret));

// Sealed values and boxes
export const place = (environment, document, path) => cat(lp(environment), lp(document), u32(path.length),
  ...path.map((p) => (typeof p === 'string' ? cat('k', lp(p)) : cat('m', lp(canonical(p))))));
export const placeTag = (where) => H(8, 'sealpipe.place.1', where);
export function token(spelt) {
  const parts = /^ENC\[NACL1,type:(str|int|float|bool|object|array|bytes),data:([\w-]*)\]$/.exec(spelt) ?? no('malformed-secret');
  const b = b64(parts[2], 'malformed-secret'), [id, key, tag, nonce, box] = [[0, 8], [8, 40], [40, 48], [40, 64], [64]].map((r) => b.subarray(...r));
  need(box.length >= 48 && box.length % 32 === 16 && box.length <= 65584, 'malformed-secret');
  return { type: parts[1], id: hex(id), key, tag, nonce, box };
}
function spelled(type, b) {
  if (type === 'bytes') return true;
  const t = utf8(b, 'unreadable-secret'), form = { int: /^(0|-?[1-9]\d*)$/, float: /^-?\d/, bool: /^[tf]/, object: /^{/, array: /^\[/ }[type];
  if (type === 'str') return !t.includes('\0');
  return form.test(t) && canonical(type === 'float' ? Number(t) : strict(b, 'unreadable-secret', 32)) === t
    && (type !== 'int' || Number.isSafeInteger(Number(t)));
}
export function openValue(spelt, where, secret) {
  const t = token(spelt), pub = publicOf(secret), word = 'unreadable-secret';
  need(t.id === keyId(pub), 'unknown-key-id');
  need(t.tag.equals(placeTag(where)), 'moved-secret');
  const bytes = attempt(() => Buffer.from(sodium.unpad(sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, t.box,
    cat('SEALPIPE-VALUE-1\n', pub, t.key, lp(t.type), where), t.nonce, sodium.crypto_box_beforenm(t.key, secret)), 32)), word);
  need(bytes.length >= t.box.length - 48 && bytes.length <= 65536 && spelled(t.type, bytes), word);
  return { type: t.type, plain: bytes };
}
export function openBox(box, secret, stated) {
  const opened = attempt(() => Buffer.from(sodium.crypto_box_seal_open(box, publicOf(secret), secret)), 'foreign-box');
  return need(opened.length === 32 && stated(publicOf(opened)), 'foreign-box') && opened;
}

// Signatures, roots, pins
export const verify = (kind, body, key, signature) => sodium.crypto_sign_verify_detached(signature,
  cat(`SEALPIPE-${kind}-1\n`, sodium.crypto_generichash(64, body)), Buffer.from(key, 'hex'));
export function signers(kind, body, list, ...roles) {
  need(new Set(list.map((s) => s.key)).size === list.length, 'repeated-signature');
  const counted = list.filter((s) => roles.some((r) => r.keys.includes(s.key)));
  need(counted.every((s) => attempt(() => verify(kind, body, s.key, s.signature), 'bad-signature')), 'bad-signature');
  return (role) => counted.filter((s) => role.keys.includes(s.key)).length >= role.need;
}
export function cursor(b, word, at = 0) {
  const take = (n) => need(at + n <= b.length, word) && b.subarray(at, (at += n)), u8 = () => take(1)[0];
  const many = (low, most, each) => { const n = u8(); return need(n >= low && n <= most, word) && Array.from({ length: n }, each); };
  const sigs = (low) => many(low, 16, () => ({ key: hex(take(32)), signature: take(64) })), body = () => take(take(4).readUInt32BE());
  const root = () => {
    const least = u8(), keys = many(1, 16, () => hex(take(32)));
    need(least >= 1 && least <= keys.length && keys.every((k, i) => !i || keys[i - 1] < k), word);
    return { need: least, keys, bytes: cat([least, keys.length], Buffer.from(keys.join(''), 'hex')) };
  };
  return { take, sigs, body, roots: () => many(1, 8, root), block: () => ({ list: sigs(1), body: body() }), end: () => need(at === b.length, word) };
}
export const pins = (spelt) => spelt.split(',').map((one) => {
  const [, chars, low] = /^st1-((?:[a-z0-9]{4}-){12}[a-z0-9]{4})(?:@([1-9]\d*))?$/.exec(one) ?? no('malformed-pin');
  const values = [...chars.replaceAll('-', '')].map((c) => BECH32.indexOf(c)), bits = values.map((v) => v.toString(2).padStart(5, '0')).join('');
  need(!values.includes(-1) && bits.endsWith('0000') && Number.isSafeInteger(Number(low ?? 1)), 'malformed-pin');
  return { digest: hex(bits.slice(0, 256).match(/.{8}/g).map((b) => parseInt(b, 2))), low: Number(low ?? 1) };
});
// The newest root and the lowest trust version asked for, of a chain that a pin vouches for.
export function chain(project, roots, links, pinned) {
  const digests = roots.map((r) => digest('root', cat(project, r.bytes))), last = digests.findLastIndex((d) => pinned.some((p) => p.digest === d));
  need(last >= 0, 'foreign-root');
  links.slice(last).forEach((list, i) => {
    const [old, newer] = roots.slice(last + i), body = Buffer.from(digests[last + i] + digests[last + i + 1], 'hex');
    const meets = signers('ROOT', body, list, old, newer);
    need(meets(old) && meets(newer), 'bad-link');
  });
  return { root: roots.at(-1), low: Math.max(...pinned.filter((p) => digests.includes(p.digest)).map((p) => p.low)) };
}

// Trust document
const role = or(undefined, (v) => (isMap(v) ? fits(v, { need: int(1), of: [NAME] }) && v.need <= v.of.length : fits(v, [NAME])));
export const TRUST = { format: (v) => v === 1, project: HEX(32), version: int(1), 'past?': (v) => fits(v, [HEX(64)]) && v.length <= 16, root: role,
  keys: { '*': [NAME, (v) => fits(v, { 'sign?': isKey('ed25519'), 'read?': isKey('recipient'), 'kind?': /^(person|machine|recovery)$/,
    'since?': text(128), 'note?': text(128) }) && (v.sign ?? v.read)] },
  environments: { '*': [NAME, { 'admins?': role, 'publishers?': role, 'break_glass?': role, 'approvals?': role, 'protected?': bool, 'branch?': text(128) }] } };
export function trust(body, project, root) {
  const t = strict(body), roles = [t.root, ...Object.values(t.environments ?? {}).flatMap((e) => ['admins', 'publishers', 'break_glass', 'approvals'].map((r) => e?.[r]))];
  need(fits(t, TRUST), 'malformed-trust');
  const spelt = Object.values(t.keys).flatMap((k) => [k.sign, k.read].filter(Boolean)), names = roles.filter(Boolean).flatMap((r) => r.of ?? r);
  need(new Set(spelt).size === spelt.length && names.every((n) => t.keys[n]?.sign), 'malformed-trust');
  const resolve = (r) => ({ missing: !r, need: r?.need ?? 1, keys: (r?.of ?? r ?? []).map((n) => hex(readKey.ed25519(t.keys[n].sign))) });
  need(t.project === hex(project), 'foreign-trust');
  const own = resolve(t.root);
  need(!root || (own.need === root.need && own.keys.sort().join() === root.keys.join()), 'foreign-root');
  return { ...t, digest: digest('trust', body), role: (environment, name) => resolve(t.environments[environment]?.[name]) };
}

// Release
const UNITS = { '*': [any, { environment: NAME, document: DOCUMENT }] };
export const BOX = (v) => fits(v, /^[\w-]{107}$/) && b64(v, 'malformed-draft');
const DRAFT = { values: isMap, sealed: UNITS, merge_keys: { '*': [POINTER, text(Infinity)] },
  locked: (v) => fits(v, [POINTER]) && canonical([...v].sort()) === canonical(v), stanzas: { '*': [UNIT, { '*': [HEX(16), { '*': [HEX(16), BOX] }] }] } };
const PAYLOAD = { format: int(1), min_format: int(1), project: HEX(32), environment: NAME, service: NAME, trust: { version: int(1), digest: HEX(64) },
  seq: int(0), number: int(1), prev: or('', HEX(64)), rid: HEX(32), batch: /^[\w-]{1,64}$/, created_at: TIME, tool: text(128), draft_digest: HEX(64),
  git: or(null, { commit: COMMIT, tree: or('', COMMIT), dirty: bool }), schema_digest: or('', HEX(64)), keyring_versions: { '*': [NAME, int(1)] },
  origins: { '*': [POINTER, text(128)] }, 'hold?': { by: text(128), reason: text(1000), rejected: [{ path: any, 'value?': any }] },
  'rollback_of?': HEX(64), 'break_glass?': text(1000, 1), 'retired?': { successor: or('', NAME) } };
export function locate(draft, pointer) {
  let node = draft.values, at = '';
  const path = pointer.split('/').slice(1).map((step) => {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~'), parent = node, field = draft.merge_keys[at];
    need(Array.isArray(node) ? field !== undefined && /^(0|[1-9]\d*)$/.test(key) && key in node : isMap(node) && key in node, 'no-place');
    node = node[key]; at += `/${step}`;
    return Array.isArray(parent) ? [field, node[field]] : key;
  });
  return { node, path };
}
const isToken = (v) => typeof v === 'string' && v.startsWith('ENC[');
const tokens = (v, at = '') => (isToken(v) ? [at] : v instanceof Number || typeof v !== 'object' || !v ? []
  : Object.entries(v).flatMap(([k, each]) => tokens(each, `${at}/${k.replaceAll('~', '~0').replaceAll('/', '~1')}`)));
export function checkDraft(bytes) {
  const d = strict(bytes, 'malformed-draft', 72);
  need(fits(d, DRAFT) && Object.keys(d.sealed).every((p) => POINTER.test(p)), 'malformed-draft');
  for (const [pointer, field] of Object.entries(d.merge_keys)) {
    const list = attempt(() => pointer.split('/').slice(1).reduce((v, k) => v[k.replaceAll('~1', '/').replaceAll('~0', '~')], d.values), 'bad-merge-key');
    const names = need(Array.isArray(list) && list.every(isMap), 'bad-merge-key') && list.map((each) => each[field]);
    need(names.every((n) => !isToken(n) && /^(string|number|boolean)$/.test(typeof n)) && new Set(names).size === names.length, 'bad-merge-key');
  }
  const found = Object.keys(d.sealed).map((pointer) => ({ pointer, ...locate(d, pointer), ...d.sealed[pointer] }));
  need(found.every((f) => isToken(f.node)), 'no-place');
  need(tokens(d.values).every((p) => p in d.sealed), 'unlisted-secret');
  for (const f of found) need(token(f.node).tag.equals(placeTag(place(f.environment, f.document, f.path))), 'misplaced-secret');
  return { ...d, found };
}
export function release(b, reader) {
  need(b.length <= 4 << 20, 'release-too-large');
  need(b.subarray(0, 19).equals(Buffer.from('SEALPIPE-RELEASE-1\n')), 'not-a-release');
  const r = cursor(b, 'malformed-release', 19), project = r.take(16), roots = r.roots(), links = roots.slice(1).map(() => r.sigs(1));
  need(!reader.project || hex(project) === reader.project, 'foreign-project');
  const { root, low } = chain(project, roots, links, pins(reader.pins));
  const first = r.block(), second = r.block(), bytes = r.body(), approvals = r.sigs(0), me = reader.environment;
  need(r.end() && first.body.length <= 65536, 'malformed-release');
  need(signers('TRUST', first.body, first.list, root)(root), 'unsigned-trust');
  const t = trust(first.body, project, root), [publishers, glass, approve] = ['publishers', 'break_glass', 'approvals'].map((n) => t.role(me, n));
  need(t.version >= Math.max(low, reader.min_trust ?? 0), 'older-trust');
  need(me in t.environments, 'unknown-environment');
  const meets = signers('RELEASE', second.body, second.list, publishers, glass);
  need(meets(publishers) || meets(glass), 'untrusted-signature');
  let p = strict(second.body, 'malformed-payload', 72);
  need(isMap(p) && int(1)(p.format) && int(1)(p.min_format), 'malformed-payload');
  need(p.min_format <= 1, 'newer-format');
  if (p.format > 1) p = Object.fromEntries(Object.entries(p).filter(([k]) => k in PAYLOAD || `${k}?` in PAYLOAD));
  need(fits(p, PAYLOAD), 'malformed-payload');
  need(p.trust.version === t.version && p.trust.digest === t.digest, 'trust-mismatch');
  need(p.project === hex(project), 'foreign-payload');
  need(p.environment === me && p.service === reader.service, 'foreign-unit');
  need(p.seq < 2 ** 48, 'bad-order');
  need(meets(publishers) || p.break_glass, 'unrecorded-break-glass');
  need(digest('draft', bytes) === p.draft_digest, 'altered-draft');
  const draft = checkDraft(bytes), what = cat(project, lp(p.environment), lp(p.service), Buffer.from(p.draft_digest, 'hex'));
  const approved = signers('APPROVAL', what, approvals, approve);
  need(approve.missing || approved(approve) || (p.break_glass && meets(glass)), 'not-approved');
  return { digest: digest('release', second.body), trust: t.version, trust_digest: t.digest, seq: p.seq, draft_digest: p.draft_digest, draft };
}
// Every listed secret, opened with the reader's own key.
export const openRelease = ({ draft }, secret) => Object.fromEntries(draft.found.map((f) => {
  const { id } = token(f.node), box = draft.stanzas[`${f.environment}/${f.document}`]?.[id]?.[keyId(publicOf(secret))] ?? no('no-access');
  const key = openBox(b64(box), secret, (pub) => keyId(pub) === id);
  return [f.pointer, openValue(f.node, place(f.environment, f.document, f.path), key).plain.toString()];
}));
export function newer(have, offered) {
  if (have.digest === offered.digest) return 'same';
  need(have.trust !== offered.trust || have.trust_digest === offered.trust_digest, 'forked-trust');
  need(have.trust !== offered.trust || have.seq !== offered.seq, 'two-releases');
  return have.trust < offered.trust || (have.trust === offered.trust && have.seq < offered.seq) ? 'newer' : 'older';
}
export const order = (trustVersion, seq) => `${String(trustVersion).padStart(10, '0')}-${String(seq).padStart(15, '0')}`;
export function head(b, environment, service, fetch) {
  if (!b.subarray(0, 18).equals(Buffer.from('SEALPIPE-CHUNKS-1\n'))) return b;
  const word = 'malformed-locator', l = strict(b.subarray(18), word);
  need(fits(l, { trust: int(1), seq: int(0), rid: HEX(32), chunks: int(1), size: int(1), digest: HEX(64) }), word);
  need(l.size <= 4 << 20 && l.chunks === Math.ceil(l.size / 131072) && l.seq < 2 ** 48, word);
  const at = `${environment}/chunks/${service}/${order(l.trust, l.seq)}-${l.rid}`;
  return cat(...Array.from({ length: l.chunks }, (_, i) => fetch(`${at}/${i}`) ?? no('incomplete-head')));
}
