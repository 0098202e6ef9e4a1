// Drives npm `livepeer`: reads settings and then calls from stdin, one JSON a line.
const readline = require("node:readline");
const { Livepeer } = require("livepeer");

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function answer(sdk, ask) {
  const path = ask.call.split(".");
  const method = path.pop();
  const owner = path.reduce((found, part) => found[part], sdk);
  try {
    const { rawResponse, statusCode, contentType, ...body } = await owner[method](...ask.args);
    return { status: statusCode, body };
  } catch (error) {
    const told = { raised: error.constructor.name, text: String(error.message).slice(0, 500) };
    if (error.statusCode) told.status = error.statusCode;
    if (error.body) told.body = JSON.parse(error.body);
    return told;
  }
}

async function main() {
  const settings = JSON.parse((await lines.next()).value);
  const sdk = new Livepeer({ apiKey: settings.key, serverURL: settings.url, timeoutMs: 10000 });
  for await (const line of { [Symbol.asyncIterator]: () => lines }) {
    console.log(JSON.stringify(await answer(sdk, JSON.parse(line))));
  }
}

main();
