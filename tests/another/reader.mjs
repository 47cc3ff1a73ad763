// A reader of sealpipe's releases, written from docs/FORMAT.md alone. It shares no code with the package.
import { createRequire } from 'node:module';
import { any, attempt, bool, canonical, fits, int, isMap, need, no, or, strict, text, utf8 } from './json.mjs';
export const sodium = createRequire(import.meta.url)('libsodium-wrappers-sumo'); // its ESM build asks for a newer node
await sodium.ready;

const cat = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
export const hex = (bytes) => Buffer.from(bytes).toString('hex');
const u32 = (n) => Buffer.from(n.toString(16).padStart(8, '0'), 'hex'), lp = (x) => cat(u32(Buffer.byteLength(x)), x);
const H = (n, label, x) => Buffer.from(sodium.crypto_generichash(n, cat(label, '\n', x)));
export const digest = (label, x) => hex(H(32, `sealpipe.${label}.1`, x));
export const keyId = (pub) => hex(H(8, 'sealpipe.kid.1', pub));
export const b64 = (text, word, bytes = Buffer.from(text, 'base64url')) => need(
  /^[\w-]*$/.test(text) && bytes.toString('base64url') === text, word) && bytes;
const N = '[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?', COMMIT = /^([0-9a-f]{40}|[0-9a-f]{64})$/, POINTER = /^(\/([^~/]|~[01])*)*$/u;
export const NAME = new RegExp(`^${N}$`), DOCUMENT = new RegExp(`^_?${N}$`), HEX = (n) => new RegExp(`^[0-9a-f]{${n}}$`), TEXT = /^[^]*$/;

// Keys, places, sealed values and boxes
const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l', w = 'malformed-key';
const bits = (values) => values.map((v) => v.toString(2).padStart(5, '0')).join('');
const bytesOf = (values, word) => need(!values.includes(-1) && bits(values).endsWith('0000'), word)
  && Buffer.from(bits(values).match(/.{8}/g).map((b) => parseInt(b, 2)));
export const bech32 = (prefix) => (spelt) => {
  const lower = need([spelt.toLowerCase(), spelt.toUpperCase()].includes(spelt) && spelt, w).toLowerCase();
  const data = [...lower.slice(prefix.length + 1)].map((c) => BECH32.indexOf(c)), codes = [...prefix].map((c) => c.charCodeAt(0));
  const sum = [...codes.map((c) => c >> 5), 0, ...codes.map((c) => c & 31), ...data].reduce((c, v) => [0x3b6a57b2, 0x26508e6d, 0x1ea119fa,
    0x3d4233dd, 0x2a1462b3].reduce((x, g, i) => ((c >>> 25 >> i) & 1 ? x ^ g : x), ((c & 0x1ffffff) << 5) ^ v), 1);
  return need(lower.startsWith(`${prefix}1`) && data.length === 58 && sum === 1, w) && bytesOf(data.slice(0, 52), w);
};
export const key32 = (label) => (t) => need(t.startsWith(label) && t.length === label.length + 43, w) && b64(t.slice(label.length), w);
export const readIdentity = (t) => bech32('age-secret-key-')(t.trim()), readEd25519 = key32('ed25519:');
export const isKey = (read) => (v) => { try { return read(v); } catch { return false; } };
export const publicOf = (secret) => Buffer.from(sodium.crypto_scalarmult_base(secret));
export const place = (environment, document, path) => cat(lp(environment), lp(document), u32(path.length),
  ...path.map((p) => (typeof p === 'string' ? cat('k', lp(p)) : cat('m', lp(canonical(p))))));
export const placeTag = (where) => H(8, 'sealpipe.place.1', where);
function token(spelt, word = 'malformed-secret') {
  const parts = /^ENC\[NACL1,type:(str|int|float|bool|object|array|bytes),data:([\w-]*)\]$/.exec(spelt) ?? no(word);
  const b = b64(parts[2], word), [id, key, tag, nonce, box] = [[0, 8], [8, 40], [40, 48], [40, 64], [64]].map((r) => b.subarray(...r));
  return need(box.length >= 48 && box.length % 32 === 16 && box.length <= 65584, word) && { type: parts[1], id: hex(id), key, tag, nonce, box };
}
function spelled(type, b, word) {
  const t = type === 'bytes' || utf8(b, word), form = { int: /^-?\d+$/, float: /^-?\d/, bool: /^[tf]/, object: /^{/, array: /^\[/ }[type];
  if (!form) return type === 'bytes' || !t.includes('\0');
  const v = need(form.test(t), word) && strict(b, word, 32);
  return canonical(v) === t && (type !== 'int' || typeof v === 'number');
}
export function openValue(spelt, where, secret) {
  const t = token(spelt), pub = publicOf(secret), word = 'unreadable-secret';
  need(t.id === keyId(pub) && t.tag.equals(placeTag(where)), word);
  const plain = attempt(() => Buffer.from(sodium.unpad(sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, t.box,
    cat('SEALPIPE-VALUE-1\n', pub, t.key, lp(t.type), where), t.nonce, sodium.crypto_box_beforenm(t.key, secret)), 32)), word);
  return need(plain.length <= 65536 && spelled(t.type, plain, word), word) && { type: t.type, plain };
}
export function openBox(box, secret, stated) {
  const opened = attempt(() => Buffer.from(sodium.crypto_box_seal_open(box, publicOf(secret), secret)), 'foreign-box');
  return need(stated(publicOf(opened)), 'foreign-box') && opened;
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
  const take = (n) => need(at + n <= b.length, word) && b.subarray(at, (at += n)), u8 = () => take(1)[0], body = () => take(take(4).readUInt32BE());
  const many = (low, most, each) => { const n = u8(); return need(n >= low && n <= most, word) && Array.from({ length: n }, each); };
  const sigs = (low) => many(low, 16, () => ({ key: hex(take(32)), signature: take(64) }));
  const root = (_, __, least = u8(), keys = many(1, 16, () => hex(take(32)))) => need(least >= 1 && least <= keys.length
    && keys.every((k, i) => !i || keys[i - 1] < k), word) && { need: least, keys, bytes: cat([least, keys.length], Buffer.from(keys.join(''), 'hex')) };
  return { take, sigs, body, roots: () => many(1, 8, root), block: () => ({ list: sigs(1), body: body() }), end: () => need(at === b.length, word) };
}
export const pins = (spelt) => spelt.split(',').map((one) => {
  const [, chars, low] = /^st1-((?:[a-z0-9]{4}-){12}[a-z0-9]{4})(?:@([1-9]\d{0,8}))?$/.exec(one.trim()) ?? no('malformed-pin');
  return { digest: hex(bytesOf([...chars.replaceAll('-', '')].map((c) => BECH32.indexOf(c)), 'malformed-pin')), low: Number(low ?? 0) };
});
function chain(project, roots, links, pinned) {
  const digests = roots.map((r) => digest('root', cat(project, r.bytes))), last = digests.findLastIndex((d) => pinned.some((p) => p.digest === d));
  need(last >= 0, 'foreign-root');
  links.slice(last).forEach((list, i) => {
    const [old, newer] = roots.slice(last + i), meets = signers('ROOT', Buffer.from(digests[last + i] + digests[last + i + 1], 'hex'), list, old, newer);
    need(meets(old) && meets(newer), 'bad-link');
  });
  return { root: roots.at(-1), low: Math.max(...pinned.filter((p) => p.digest === digests[last]).map((p) => p.low)) };
}

// Trust document
const names = (v) => fits(v, [NAME]) && v.length <= 16 && new Set(v).size === v.length;
const role = (v) => names(v) || (fits(v, { need: int(1), of: names }) && v.need <= Math.max(1, v.of.length));
export const past = (v) => fits(v, [HEX(64)]) && v.length <= 16;
const ROLES = ['admins', 'publishers', 'break_glass', 'approvals'], VERSION = int(1, 2 ** 31), TRUST = {
  format: (v) => v === 1, project: HEX(32), version: VERSION, 'past?': past, root: (v) => role(v) && (v.of ?? v).length,
  keys: { '*': [NAME, (v) => fits(v, { 'sign?': isKey(readEd25519), 'read?': new RegExp(`^age1[${BECH32}]{58}$`),
    'kind?': /^(person|machine|recovery)$/, 'since?': TEXT, 'note?': TEXT }) && (v.sign ?? v.read)] },
  environments: { '*': [NAME, Object.fromEntries([...ROLES.map((r) => [`${r}?`, role]), ['protected?', bool], ['branch?', TEXT]])] } };
export function trust(body, project, root) {
  const t = strict(body), resolve = (r, least = 1) => (
    { need: r?.need ?? (r?.length ? 1 : least), keys: (r?.of ?? r ?? []).map((n) => hex(readEd25519(t.keys[n].sign))).sort() });
  need(fits(t, TRUST), 'malformed-trust');
  const spelt = Object.values(t.keys).flatMap((k) => [k.sign, k.read].filter(Boolean));
  const all = [t.root, ...Object.values(t.environments).flatMap((e) => ROLES.map((r) => e[r] ?? []))].flatMap((r) => r.of ?? r);
  need(new Set(spelt).size === spelt.length && all.every((n) => t.keys[n]?.sign), 'malformed-trust');
  need(t.project === hex(project), 'foreign-trust');
  need(!root || canonical(resolve(t.root)) === canonical({ need: root.need, keys: root.keys }), 'foreign-root');
  return { ...t, digest: digest('trust', body), role: (e, name) => resolve(t.environments[e]?.[name], name === 'approvals' ? 0 : 1) };
}

// Release
export const BOX = (v) => fits(v, /^[\w-]{107}$/) && attempt(() => b64(v), 'malformed-draft');
const UNIT = new RegExp(`^${N}/_?${N}$`), DRAFT = { values: isMap, sealed: { '*': [POINTER, { environment: NAME, document: DOCUMENT }] },
  merge_keys: { '*': [POINTER, TEXT] }, locked: [POINTER], stanzas: { '*': [UNIT, { '*': [HEX(16), { '*': [HEX(16), BOX] }] }] } };
const PAYLOAD = { format: int(1), min_format: int(1), project: HEX(32), environment: NAME, service: NAME,
  trust: { version: int(1, 1e10 - 1), digest: HEX(64) }, seq: int(0), number: int(1), prev: or('', HEX(64)), rid: HEX(32), batch: /^[\w-]{1,64}$/,
  created_at: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/, git: or(null, { commit: COMMIT, tree: or('', COMMIT), dirty: bool }),
  tool: text(128), draft_digest: HEX(64), schema_digest: or('', HEX(64)), keyring_versions: { '*': [NAME, int(1)] }, origins: { '*': [TEXT, TEXT] },
  'hold?': { by: text(128, 1), reason: text(1000), rejected: [{ path: TEXT, 'value?': any }] }, 'rollback_of?': HEX(64),
  'break_glass?': text(1000, 1), 'retired?': { successor: text(128) } };
const steps = (pointer) => pointer.split('/').slice(1), unescape = (step) => step.replaceAll('~1', '/').replaceAll('~0', '~');
export function locate(draft, pointer, word = 'no-place', loose = false) {
  let node = draft.values, at = '';
  const path = steps(pointer).map((step) => {
    const key = unescape(step), parent = node, field = draft.merge_keys[at];
    need(Array.isArray(node) ? (loose || field !== undefined) && /^(0|[1-9]\d*)$/.test(key) && key in node : isMap(node) && key in node, word);
    node = node[key]; at += `/${step}`;
    return Array.isArray(parent) ? [field, node?.[field]] : key;
  });
  return { node, path };
}
const isToken = (v) => typeof v === 'string' && v.startsWith('ENC[');
const tokens = (v, at = '') => (isToken(v) ? [at] : !isMap(v) && !Array.isArray(v) ? []
  : Object.entries(v).flatMap(([k, each]) => tokens(each, `${at}/${k.replaceAll('~', '~0').replaceAll('/', '~1')}`)));
function checkDraft(bytes) {
  const d = strict(bytes, 'malformed-draft', 72);
  need(fits(d, DRAFT), 'malformed-draft');
  for (const [pointer, field] of Object.entries(d.merge_keys)) {
    const list = locate(d, pointer, 'bad-merge-key', true).node;
    const found = need(Array.isArray(list) && list.every(isMap), 'bad-merge-key') && list.map((each) => each[field]);
    need(found.every((n) => !isToken(n) && /^(string|number|boolean)$/.test(typeof n)) && new Set(found).size === found.length, 'bad-merge-key');
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
  const t = trust(first.body, project, root), [publishers, glass, approve] = ROLES.slice(1).map((n) => t.role(me, n));
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
  need(signers('APPROVAL', what, approvals, approve)(approve) || (p.break_glass && meets(glass)), 'not-approved');
  return { digest: digest('release', second.body), trust: t.version, trust_digest: t.digest, seq: p.seq, draft_digest: p.draft_digest, draft };
}
// Every listed secret, opened with the reader's own key; a box that is not for it counts as missing.
export const openRelease = ({ draft }, secret) => Object.fromEntries(draft.found.map((f) => {
  const { id } = token(f.node), box = draft.stanzas[`${f.environment}/${f.document}`]?.[id]?.[keyId(publicOf(secret))] ?? no('no-access');
  const key = attempt(() => openBox(b64(box), secret, (pub) => keyId(pub) === id), 'no-access');
  return [f.pointer, openValue(f.node, place(f.environment, f.document, f.path), key).plain.toString()];
}));
export function newer(have, offered) {
  if (have.digest === offered.digest) return 'same';
  if (have.trust !== offered.trust) return have.trust < offered.trust ? 'newer' : 'older';
  need(have.trust_digest === offered.trust_digest, 'forked-trust');
  return need(have.seq !== offered.seq, 'two-releases') && have.seq < offered.seq ? 'newer' : 'older';
}
// The bytes of a release from its head; `fetch` gives the bytes under a key of the store, or undefined.
export function head(b, environment, service, fetch) {
  if (!b.subarray(0, 18).equals(Buffer.from('SEALPIPE-CHUNKS-1\n'))) return b;
  const word = 'malformed-locator', l = strict(b.subarray(18), word), max = 4 << 20, pad = (n, width) => String(n).padStart(width, '0');
  need(fits(l, { trust: int(1, 1e10 - 1), seq: int(0, 2 ** 48 - 1), rid: HEX(32), chunks: int(1), size: int(1, max), digest: HEX(64) }), word);
  need(b.length <= 4096 && l.chunks === Math.ceil(l.size / 131072), word);
  const at = `${environment}/chunks/${service}/${pad(l.trust, 10)}-${pad(l.seq, 15)}-${l.rid}`;
  const parts = Array.from({ length: l.chunks }, (_, i) => fetch(`${at}/${i}`) ?? no('incomplete-head'));
  return need(parts.every((p) => p.length <= 131072) && cat(...parts).length === l.size, 'incomplete-head') && cat(...parts);
}
