/* Compiled and not run: what index.d.ts promises, and what it must refuse. */
import { FanfareError, Hub, Message, Resumption, Subscriber } from 'fanfare-core';

const hub = new Hub({ epoch: 5, memoryMax: 1 << 20, blockTimeout: 100 });
hub.setChannel('room.*', { historySize: 100, historyTtl: 60, outboxPolicy: 'catch-up' });
hub.setChannel(new Uint8Array([1]), 'history-size 1 history-ttl 1');

const subscriber: Subscriber = hub.subscriber({ messages: 100, policy: 'drop-oldest', notify: true }, (message: Message, s) => {
  const text: string = message.channel + message.payload + (message.pattern ?? '') + (message.position ?? '');
  const bytes: Buffer = message.payloadBytes;
  s.pause().unpause();
  void [text, bytes];
});
hub.subscriber((message) => message.toJSON().payload.length);
subscriber.on('message', (message) => message.payload.toUpperCase());
subscriber.on('missed', (count) => count.toFixed());
subscriber.once('end', (reason) => reason === 'overflow');
hub.on('message', (message) => message.channel.length);
hub.on('readable', () => hub.own.read());

const changed: boolean = subscriber.subscribe('a') && subscriber.psubscribe(new Uint8Array(1));
const resumption: Resumption = subscriber.resume('a', '0');
const receivers: number = hub.publish('a', new Uint8Array(3), { except: subscriber });
const waited: Promise<number> = hub.publishWait('a', 'b', { signal: new AbortController().signal });
const kept: Message[] = hub.history('a', { last: 5 });

async function read(): Promise<void> {
  for await (const message of subscriber) message.payload.length;
  for (const name of hub.channels()) name.toUpperCase();
  for (const name of hub.channels({ bytes: true })) name.readUInt8(0);
}

function codeOf(error: FanfareError): string {
  return error.code === 'FANFARE_BLOCKED' ? 'wait' : error.code;
}

// @ts-expect-error a payload is a string or bytes
hub.publish('a', 5);
// @ts-expect-error no such policy
hub.subscriber({ policy: 'sometimes' });
// @ts-expect-error no such option
new Hub({ colour: 'red' });
// @ts-expect-error messages come from the hub
new Message();
// @ts-expect-error last cannot be combined with from
hub.history('a', { last: 1, from: '1-1' });

export { changed, resumption, receivers, waited, kept, read, codeOf };
