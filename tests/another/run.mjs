// Runs every case of tests/vectors/ with reader.mjs and prints what differs. Ends with 1 if anything does.
import { readFileSync, readdirSync } from 'node:fs';
import { Refused, canonical, strict } from './json.mjs';
import * as reader from './reader.mjs';
import * as files from './files.mjs';

const { sodium } = reader;
const folder = new URL('../vectors/', import.meta.url);
const unhex = (text) => Buffer.from(text, 'hex');
const unb64 = (text) => Buffer.from(text, 'base64url');
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const b64 = (bytes) => Buffer.from(bytes).toString('base64url');
const json = (data) => strict(Buffer.from(JSON.stringify(data)));
const signPublic = (seed) => `ed25519:${b64(sodium.crypto_sign_seed_keypair(seed).publicKey)}`;

const work = {
  identity({ identity }) {
    const secret = files.readKey.identity(identity), pub = reader.publicOf(secret), seed = files.signingSeed(secret);
    return { secret: hex(secret), public: hex(pub), text: `x25519:${b64(pub)}`, key_id: reader.keyId(pub),
      signing_seed: hex(seed), signing_public: signPublic(seed) };
  },
  key: ({ kind, text }) => ({ key: hex(files.readKey[kind](text)) }),
  value(g) {
    const where = reader.place(g.environment, g.document, g.path), opened = reader.openValue(g.token, where, unhex(g.document_secret));
    return { place: hex(where), place_tag: hex(reader.placeTag(where)), type: opened.type, plain: hex(opened.plain),
      document_public: hex(reader.publicOf(unhex(g.document_secret))) };
  },
  signature(g) {
    if (!reader.verify(g.kind, unhex(g.body), g.public, unhex(g.signature))) throw new Refused('bad-signature');
    return {};
  },
  pin(g) {
    const digest = reader.digest('root', Buffer.concat([unhex(g.project), Buffer.from([g.need, g.keys.length]), unhex(g.keys.join(''))]));
    return { digest };
  },
  pins: ({ pins }) => ({ pins: reader.pins(pins).map((pin) => [pin.digest, pin.low]) }),
  json: ({ bytes }) => ({ canonical: hex(Buffer.from(canonical(strict(unhex(bytes))))) }),
  place(g) {
    const draft = strict(unhex(g.draft));
    return { place: hex(reader.place(g.environment, g.document, reader.locate(draft, g.pointer).path)) };
  },
  release(g) {
    const bytes = Buffer.concat([unb64(g.release), Buffer.alloc(Math.max(0, (g.pad_to ?? 0) - unb64(g.release).length))]);
    const { draft, trust_digest: _, ...facts } = reader.release(bytes, g);
    if (g.identity) return { ...facts, opened: reader.openRelease({ draft }, unhex(g.identity)) };
    const opened = draft.found.map((f) => [f.pointer, reader.openValue(f.node,
      reader.place(f.environment, f.document, f.path), unhex(g.document_secrets[f.document])).plain.toString()]);
    return { ...facts, opened: Object.fromEntries(opened) };
  },
  head(g) {
    const chunk = (key) => (key in g.chunks ? Buffer.alloc(g.chunks[key].size, unhex(g.chunks[key].byte)) : undefined);
    const bytes = reader.head(unhex(g.head), g.environment, g.service, chunk);
    return { size: bytes.length, blake2b: hex(sodium.crypto_generichash(32, bytes)) };
  },
  newer: ({ have, offered }) => ({ is: reader.newer(have, offered) }),
  box: ({ box, secret, stated }) => ({ opened: hex(reader.openBox(unhex(box), unhex(secret), (p) => hex(p) === stated)) }),
  keyring: (g) => ({ documents: files.keyring(json(g.keyring), files.trustOf(json(g.trust)), g.environment, unhex(g.secret)) }),
  state: (g) => ({ state: files.state(unb64(g.state), files.trustOf(json(g.trust)), g.environment) }),
};

let cases = 0, failures = 0, differ = 0;
for (const name of readdirSync(folder).filter((each) => each.endsWith('.json')).sort()) {
  for (const vector of JSON.parse(readFileSync(new URL(name, folder), 'utf8')).vectors) {
    let found;
    try { found = { gives: work[vector.do](vector.given) }; } catch (error) {
      found = error instanceof Refused ? { refused: error.message } : { crashed: String(error.stack) };
    }
    const wanted = vector.refused ?? vector.gives;
    // A case may give less than the reader finds, and more (what only a writer makes): the rest must be equal.
    const both = Object.keys(found.gives ?? {}).filter((k) => k in (vector.gives ?? {}));
    const equal = both.every((k) => canonical(json(found.gives[k])) === canonical(json(vector.gives[k])));
    const right = vector.refused ? found.refused === wanted : found.gives && equal && (both.length || vector.do === 'signature');
    cases += 1;
    failures += vector.refused ? 1 : 0;
    if (!right) console.log(`${name}: ${vector.name}: wanted ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`);
    differ += right ? 0 : 1;
  }
}
console.log(`${cases - differ} passed, ${differ} failed`);
console.log(`${cases} cases, ${failures} of them refusals`);
process.exitCode = differ || !cases ? 1 : 0;
