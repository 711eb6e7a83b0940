// Makes MQTT.js clients as it is told on standard input, an object a line, and tells on standard
// output what was done and which messages came.
'use strict';

const mqtt = require('mqtt');
const readline = require('node:readline');

const clients = new Map();

function tell(told) {
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

const actions = {
  async connect({ client, url, options }) {
    const made = mqtt.connect(url, options);
    clients.set(client, made);
    // A connection that ends later concerns nobody: stories say what is to come of it.
    made.on('error', () => {});
    made.on('message', (topic, payload, { qos, retain }) => {
      tell({ told: 'message', client, topic, payload: payload.toString(), qos, retain });
    });
    await new Promise((resolve, reject) => {
      made.once('connect', resolve);
      made.once('error', reject);
      made.once('close', () => reject(new Error('closed before CONNACK')));
    });
  },
  async publish({ client, topic, payloads, qos, retain }) {
    const sent = (payload) => clients.get(client).publishAsync(topic, payload, { qos, retain });
    await Promise.all(payloads.map(sent));
  },
  async subscribe({ client, filter, qos }) {
    const [granted] = await clients.get(client).subscribeAsync(filter, { qos });
    if (granted.qos !== qos) throw new Error(`expected ${qos} granted, found ${granted.qos}`);
  },
  async end({ client }) {
    await clients.get(client).endAsync();
  },
  async vanish({ client }) {
    clients.get(client).stream.destroy();
  },
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const command = JSON.parse(line);
  try {
    await actions[command.do](command);
    tell({ told: 'done' });
  } catch (error) {
    tell({ told: 'error', message: String(error) });
  }
});
