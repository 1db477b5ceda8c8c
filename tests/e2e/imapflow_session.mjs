// A session of imapflow with a mox server, for test_clients_imapflow.py: what it sees goes to
// standard output, one JSON value. Arguments: module directory, port, certificate file.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, port, certificate] = process.argv.slice(2);
const { ImapFlow } = createRequire(`${modules}/`)("imapflow");

function connect() {
  return new ImapFlow({
    host: "localhost",
    port: Number(port),
    secure: true,
    tls: { ca: readFileSync(certificate) },
    auth: { user: "mox@localhost", pass: "moxmoxmox" },
    clientInfo: { name: "Apple Mail", version: "3826" },
    qresync: true,
    logger: false,
  });
}

function event(client, name) {
  return new Promise((resolve) => client.once(name, resolve));
}

const seen = {};
const client = connect();
await client.connect();
seen.enabled = [...client.enabled].sort();
seen.compressed = Boolean(client._inflate);
seen.server = client.serverInfo;
seen.quota = await client.getQuota("INBOX");

await client.mailboxCreate(["flow", "töst"]);
const path = "flow/töst";
seen.paths = (await client.list({ statusQuery: { messages: true, unseen: true } }))
  .filter((each) => each.path.startsWith("flow"))
  .map((each) => [each.path, each.status.messages]);

const first = await client.append(path, "Subject: eins\r\n\r\nText eins\r\n", ["\\Seen", "$Label1"]);
await client.append(path, "Subject: zwei\r\n\r\nText zwei\r\n", ["\\Draft"], new Date(0));
seen.appended = [first.uid, first.destination];

let lock = await client.getMailboxLock(path);
seen.exists = client.mailbox.exists;
seen.messages = [];
for await (const message of client.fetch("1:*", {
  envelope: true, flags: true, internalDate: true, source: true, uid: true, bodyStructure: true,
})) {
  seen.messages.push([
    message.uid, message.envelope.subject, [...message.flags].sort(), message.source.length,
    message.bodyStructure.type,
  ]);
}
seen.found = await client.search({ subject: "zwei" }, { uid: true });
await client.messageFlagsAdd({ subject: "zwei" }, ["\\Flagged"]);
seen.flagged = await client.search({ flagged: true }, { uid: true });
seen.moved = (await client.messageMove("1", "Trash")).uidMap.size;
const { content } = await client.download("1", "1");
const chunks = [];
for await (const chunk of content) chunks.push(chunk);
seen.downloaded = Buffer.concat(chunks).toString();
const modseq = client.mailbox.highestModseq;
lock.release();

// It does not count VANISHED messages off: only a new SELECT tells it how many are left.
await client.mailboxOpen("INBOX");

// Another session adds a message and changes one; this one idles and hears of it.
lock = await client.getMailboxLock(path);
const [exists, news] = [event(client, "exists"), event(client, "flags")];
client.idle();
const other = connect();
await other.connect();
const otherLock = await other.getMailboxLock(path);
await other.append(path, "Subject: drei\r\n\r\nText drei\r\n");
seen.heardExists = (await exists).count;
await news;
const flags = event(client, "flags");
await other.messageFlagsAdd("1", ["\\Answered"]);
seen.heardFlags = [...(await flags).flags].sort();
const expunge = event(client, "expunge");
client.idle();
await other.messageDelete("1");
const gone = await expunge;
seen.heardExpunge = gone.vanished ? ["vanished", gone.uid] : ["seq", gone.seq];
otherLock.release();
await other.logout();
lock.release();

// What changed since.
lock = await client.getMailboxLock(path);
seen.changed = [];
for await (const message of client.fetch("1:*", { flags: true, uid: true }, { changedSince: modseq })) {
  seen.changed.push(message.uid);
}
lock.release();
await client.mailboxDelete(path);
await client.logout();
console.log(JSON.stringify(seen));
