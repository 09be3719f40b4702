// Does SM2, SM3 and SM4 with sm-crypto-v2, an independent implementation in JavaScript, for the vault's tests.
// usage: sm_crypto.js CASES    a file of JSON lines; answers each with a JSON line: what it made, and what it made of ours
const fs = require('fs');
const readline = require('readline');
const { sm2, sm3, sm4 } = require('sm-crypto-v2');

const bytes = (text) => new Uint8Array(Buffer.from(text, 'hex'));
const hex = (array) => Buffer.from(array).toString('hex');
const attempt = (work) => {
  try {
    return work();
  } catch {
    return null;
  }
};

// 0 is C1C2C3, 1 is C1C3C2; points are without their 04.
function ciphers(one) {
  const open = (cipher, order, options) =>
    attempt(() => hex(sm2.doDecrypt(cipher, one.secret, order, { output: 'array', ...options })));
  return {
    opened: {
      c1c3c2: open(one.c1c3c2, 1),
      c1c2c3: open(one.c1c2c3, 0),
      der: one.cipherDer === null ? null : open(one.cipherDer, 1, { asn1: true }),
    },
    openedTampered: one.tampered === null ? null : open(one.tampered, 1),
    cipher: sm2.doEncrypt(bytes(one.plain), one.public, one.order),
  };
}

function signatures(one) {
  const options = { hash: true, userId: one.id, publicKey: one.public };
  const message = bytes(one.message);
  const verify = (signature, more) =>
    attempt(() => sm2.doVerifySignature(message, signature, one.public, { hash: true, userId: one.id, ...more }));
  return {
    verified: one.der ? verify(one.signature, { der: true }) : verify(one.signature),
    verifiedWithOtherId: one.other === null ? null : verify(one.signature, { der: one.der, userId: one.other }),
    signature: sm2.doSignature(message, one.secret, { ...options, der: one.der }),
  };
}

function blocks(one) {
  const [key, iv, message, aad] = [bytes(one.key), bytes(one.iv), bytes(one.message), bytes(one.aad)];
  const gcm = { mode: 'gcm', iv: iv.slice(0, 12), associatedData: aad, output: 'array' };
  const sealed = sm4.encrypt(message, key, { ...gcm, outputTag: true });
  const ours = bytes(one.gcm);
  const [body, tag] = [ours.slice(0, -16), ours.slice(-16)];
  const open = (tag) => attempt(() => hex(sm4.decrypt(body, key, { ...gcm, tag })));
  const plain = (cipher, options) => attempt(() => hex(sm4.decrypt(bytes(cipher), key, { output: 'array', ...options })));
  return {
    ecb: hex(sm4.encrypt(message, key, { output: 'array' })),
    cbc: hex(sm4.encrypt(message, key, { mode: 'cbc', iv, output: 'array' })),
    gcm: hex(sealed.output) + hex(sealed.tag),
    openedEcb: plain(one.ecb, {}),
    openedCbc: plain(one.cbc, { mode: 'cbc', iv }),
    openedGcm: open(tag),
    openedGcmWithOtherTag: open(tag.map((byte) => byte ^ 1)),
  };
}

// The peer opens the exchange with a fresh pair of its own.
function exchange(one) {
  const [own, fresh] = [sm2.generateKeyPairHex(), sm2.generateKeyPairHex()];
  const key = sm2.calculateSharedKey(own, fresh, one.public, one.fresh, 48, false, 'initiator', one.id);
  return { public: own.publicKey, fresh: fresh.publicKey, key: hex(key) };
}

async function main(file) {
  for await (const line of readline.createInterface({ input: fs.createReadStream(file) })) {
    const one = JSON.parse(line);
    const answer = {
      public: sm2.getPublicKeyFromPrivateKey(one.secret),
      sm3: sm3(bytes(one.message)),
      hmac: sm3(bytes(one.message), { mode: 'hmac', key: bytes(one.macKey) }),
      ...ciphers(one),
      ...signatures(one),
      blocks: blocks(one),
      exchange: one.fresh === null ? null : exchange(one),
    };
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
