// A partner in one screen: Node 18+, nothing installed. Run: node receiver.mjs whsec_... [port]
// The same promises as receiver.py: signature, duplicates, order, gaps.
import { createServer } from "node:http";
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

const key = Buffer.from((process.argv[2] ?? "").replace(/^whsec_/, ""), "base64");
const seen = new Map(); // webhook-id -> hash of the body
const subjects = new Map(); // kind/number -> Map(seq -> event)

const same = (a, b) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

function take(headers, body) {
  const id = headers["webhook-id"], stamp = headers["webhook-timestamp"] ?? "";
  if (!id || !/^\d+$/.test(stamp) || Math.abs(Date.now() / 1000 - Number(stamp)) > 300)
    return [400, { error: "webhook-id and a recent webhook-timestamp are needed" }];
  const text = Buffer.concat([Buffer.from(`${id}.${stamp}.`), body]);
  const right = "v1," + createHmac("sha256", key).update(text).digest("base64");
  if (!(headers["webhook-signature"] ?? "").split(" ").some((one) => same(one, right)))
    return [401, { error: "wrong signature" }];
  const hash = createHash("sha256").update(body).digest("hex");
  if (seen.has(id)) return seen.get(id) === hash ? [200, { status: "duplicate" }] : [409, { error: "id used before" }];
  const event = JSON.parse(body);
  const subject = `${event.subjectkind}/${event.subjectnumber}`;
  if (!subjects.has(subject)) subjects.set(subject, new Map());
  const known = subjects.get(subject);
  let status = "applied";
  if (known.size && event.seq < Math.max(...known.keys())) status = "late"; // files in, moves nothing backwards
  else if (event.prev && !known.has(event.prev)) status = "gap"; // pull what is missing
  known.set(event.seq, event);
  seen.set(id, hash);
  return [200, { status, seq: Math.max(...known.keys()) }];
}

createServer((request, response) => {
  const chunks = [];
  let length = 0;
  request.on("data", (chunk) => { length += chunk.length; if (length <= 256 * 1024) chunks.push(chunk); });
  request.on("end", () => {
    const [status, value] = length > 256 * 1024 ? [413, { error: "too large" }] : take(request.headers, Buffer.concat(chunks));
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
  });
}).listen(Number(process.argv[3] ?? 9000), "127.0.0.1");
