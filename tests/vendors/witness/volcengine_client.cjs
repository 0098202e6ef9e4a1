// Drives npm `@volcengine/openapi` through its generic call; it signs by the clock that the settings give it.
const readline = require("node:readline");

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function standStill(now) {
  const Real = Date;
  global.Date = class extends Real {
    constructor(...given) {
      super(...(given.length ? given : [now]));
    }
    static now() {
      return now;
    }
  };
}

async function main() {
  const settings = JSON.parse((await lines.next()).value);
  standStill(settings.now);
  const { Service } = require("@volcengine/openapi");
  const { host, accessKeyId, secretKey, sessionToken, region } = settings;
  const services = {};
  for (const [serviceName, defaultVersion] of Object.entries(settings.services)) {
    services[serviceName] = new Service({
      host, protocol: "http:", accessKeyId, secretKey, sessionToken, region, serviceName, defaultVersion,
    });
  }
  for await (const line of { [Symbol.asyncIterator]: () => lines }) {
    const ask = JSON.parse(line);
    const [serviceName, Action] = ask.call.split(".");
    const json = { "content-type": "application/json; charset=utf-8" };
    const send = ask.named.query
      ? { Action, method: "GET", query: ask.named.query }
      : { Action, method: "POST", headers: json, data: ask.args[0] || {} };
    if (ask.named.version) send.Version = ask.named.version;
    let told;
    try {
      told = { body: await services[serviceName].fetchOpenAPI(send) };
    } catch (error) {
      told = { raised: error.constructor.name, text: String(error.message) };
    }
    console.log(JSON.stringify(told));
  }
}

main();
