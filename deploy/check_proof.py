# Checks what one person was told, with nothing of Tocsin: python check_proof.py PROOF.json log.pub
# Needs Python 3.11 and the package `cryptography`. log.pub: the log's public keys, which you have from elsewhere.
import hashlib, json, re, sys
from base64 import b64decode
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
def need(holds, why): return holds or sys.exit(f"FALSE: {why}")
def sha(data): return hashlib.sha256(data).digest()
def climb(leaf, at, size, path):  # RFC 6962, 2.1.1: the root that a leaf leads to with the hashes beside its way
    need(0 <= at < size and (size > 1) == bool(path), "a path that does not fit its tree")
    if size == 1: return leaf
    left, beside = 1 << (size - 1).bit_length() - 1, bytes.fromhex(path[-1])
    if at < left: return sha(b"\1" + climb(leaf, at, left, path[:-1]) + beside)
    return sha(b"\1" + beside + climb(leaf, at - left, size - left, path[:-1]))

def signed(note, keys):  # C2SP signed-note and tlog-checkpoint: the size and the root, by the key that counts for that size
    text, _, signatures = note.rpartition("\n\n")
    origin, size, root = text.split("\n")[:3]
    name, _, key = [k[0] for k in keys if k is keys[0] or int([*k, 0, 0][2]) < int(size)][-1].split("+", 2)
    for blob in (b64decode(line.split(" ")[2]) for line in signatures.splitlines() if line.split(" ")[1] == name):
        if blob[:4] == sha(f"{name}\n".encode() + b64decode(key))[:4] and origin == name:
            Ed25519PublicKey.from_public_bytes(b64decode(key)[1:]).verify(blob[4:], f"{text}\n".encode())
            return int(size), b64decode(root)
    sys.exit(f"FALSE: the checkpoint is not signed by that of your keys which counts for a log of {size}")

def sealed(shown, size, root):  # what an entry of the log says; of this one person, where it speaks of many
    entry, part = json.loads(shown["entry"]), shown.get("part")
    need(climb(sha(b"\0" + shown["entry"].encode()), entry["index"], size, shown["path"]) == root, "no entry of the log")
    if part is None: return {**entry["body"], "type": entry["record_type"], "subject": entry.get("subject")}
    body, one = entry["body"], json.loads(part["leaf"])
    leads = climb(sha(b"\0" + part["leaf"].encode()), part["position"], body["people"], part["path"]).hex()
    need(leads == body["root"] and entry["record_type"].endswith("recipients_committed.v1"), "a part of something else")
    return {**body["record"], "type": body["record_type"], "recipients": [one["recipient"]], "outcomes": [one]}

def check(proof, keys):
    size, root = signed(proof["checkpoint"], keys)
    said, who = [sealed(shown, size, root) for shown in proof["entries"]], proof["subscriber"]
    need(len({(one["seq"], one["channel"]) for one in proof["messages"]}) == len(proof["messages"]), "a message told twice")
    for told in proof["messages"]:
        plan, end = said[told["intended"]], said[told["ended"]]
        types = [f"io.tocsin.delivery.{name}.v1" for name in ("intended", "ended")]
        need([plan["type"], end["type"]] == types, "entries that say something else")
        need([who] == plan["recipients"] == [one["recipient"] for one in end["outcomes"]], "what another was told")
        need(plan["incident"] == end["incident"] == proof["incident"] and end["at"] == told["at"], "another incident")
        need(all(plan[key] == end[key] for key in ("notice_id", "seq", "channel")), "the end of another message")
        need(all(plan[key] == told[key] for key in ("seq", "channel", "kind", "rendering", "zone")), "another message")
        need(all(end["outcomes"][0].get(key) == told[key] for key in ("result", "provider_id")), "another end")
        need(sha(proof["renderings"][plan["rendering"]].encode()).hex() == plan["rendering"], "words of another hash")
        _, _, times, content = proof["renderings"][plan["rendering"]].split("\n", 3)
        row = json.loads(times).get(plan["zone"]) or json.loads(times).get("UTC") or []
        def fill(text): return re.sub(r"\{\{t(\d{1,3})\}\}", lambda m: [*row[int(m[1]):], m[0]][0], text)
        says = {k: fill(v) for k, v in json.loads(content).items() if type(v) is str and k not in ("channel", "encoding")}
        need(says == told["says"], "other words")
        parts = map(str.encode, ("intent", proof["incident"], str(plan["seq"]), who, plan["channel"]))
        intent = sha(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hex()[:32]
        need(all(said[at]["intent_id"] == intent for at in told["receipts"]), "the receipt of another message")
        print(f"TRUE: {end['at']}, by {plan['channel']}, {told['result']}:\n{says.get('subject', '')}\n{says['text']}")
    need(all(said[at]["subject"] == who for at in proof["addresses"]), "another person's address")
    print(f"TRUE: entries of a log of {size}; {len(proof['messages'])} messages to {who} about {proof['incident']}")
try: check(json.load(open(sys.argv[1], encoding="utf-8")), [line.split() for line in open(sys.argv[2]) if line.strip()])
except Exception as error: sys.exit(f"FALSE: {error!r}")
