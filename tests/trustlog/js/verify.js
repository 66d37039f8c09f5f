// Checks a checkpoint's signature and an entry's inclusion as npm's @sigstore/verify does for Rekor.
//
//	node verify.js FILE
//
// FILE is JSON: origin, keyId (hexadecimal), publicKey (base64 SPKI), index, entry (base64), proof (a C2SP
// tlog-proof). Prints what was verified; exits with 1 where the library refuses.
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");

const library = path.join(process.env.PASSERSBY_NODE_MODULES, "@sigstore/verify/dist/tlog");
const { verifyCheckpoint } = require(path.join(library, "checkpoint"));
const { verifyMerkleInclusion } = require(path.join(library, "merkle"));

const given = JSON.parse(fs.readFileSync(process.argv[2]));
const bytes = (text) => Buffer.from(text, "base64");
const [head, ...rest] = given.proof.split("\n\n");
const envelope = rest.join("\n\n");
const [, size, root] = envelope.split("\n");
const logs = [
  {
    logID: Buffer.from(given.keyId, "hex"),
    baseURL: given.origin,
    publicKey: crypto.createPublicKey({ key: bytes(given.publicKey), format: "der", type: "spki" }),
    validFor: { start: new Date(0), end: new Date("2100-01-01") },
  },
];
const entry = {
  canonicalizedBody: bytes(given.entry),
  inclusionProof: {
    logIndex: String(given.index),
    treeSize: size,
    hashes: head.split("\n").slice(2).map(bytes),
    rootHash: bytes(root),
    checkpoint: { envelope },
  },
};
try {
  const checkpoint = verifyCheckpoint(entry, logs);
  verifyMerkleInclusion(entry, checkpoint);
  console.log("verified", checkpoint.origin, String(checkpoint.logSize), given.index);
} catch (error) {
  console.log("refused", error.code);
  process.exit(1);
}
