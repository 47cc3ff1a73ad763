// Strict JSON, RFC 8785 and the form of what was read: what a library does where there is one.
export class Refused extends Error {}
export const no = (word) => { throw new Refused(word); };
export const need = (ok, word) => ok || no(word);
export const attempt = (work, word) => { try { return work(); } catch { return no(word); } };
export const utf8 = (b, word) => attempt(() => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(b), word);

// JSON. A float is a Number object, an integer a primitive: 1.0 is no integer.
export const isMap = (v) => v !== null && typeof v === 'object' && !Array.isArray(v) && !(v instanceof Number);
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
export const int = (low, high = 2 ** 53 - 1) => (v) => Number.isInteger(v) && v >= low && v <= high;
export const text = (most, least = 0) => (v) => fits(v, /^[^\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$/)
  && [...v].length <= most && [...v].length >= least;
export const bool = (v) => typeof v === 'boolean', any = () => true, or = (other, f) => (v) => v === other || fits(v, f);
