/// <reference types="node" />
import { EventEmitter } from 'node:events';

/** The name of a channel, a glob, or a payload. A string is sent as UTF-8; names and payloads are any bytes. */
export type Bytes = string | Uint8Array;

/** "EPOCH-SEQ": names one kept message, for ever. */
export type Position = string;

/** What happens to a message that exceeds the limits of an outbox. */
export type Policy = 'disconnect' | 'drop-oldest' | 'drop-newest' | 'block' | 'catch-up';

/** Each limit has a default; a value beyond the range is a RangeError. */
export interface HubOptions {
  /** Of positions, 1 to 2^53-1; by default microseconds since 1970 with a random part. */
  epoch?: number;
  /** Subscriptions of a subscriber; by default 1000000. */
  subscriptionsMax?: number;
  /** Subscribers of a channel or pattern; by default 1000000. */
  subscribersMax?: number;
  /** Bytes of a name, 1 to 65535; by default 65535. */
  nameMax?: number;
  /** Bytes of a payload, 1 to 2^29; by default 2^26. */
  messageMax?: number;
  /** Bytes of messages that are queued in outboxes; by default no limit. */
  memoryMax?: number;
  /** Bytes of kept messages; by default no limit. */
  historyMax?: number;
  /** Milliseconds after which a subscriber for which publishers wait is closed; by default none is. */
  blockTimeout?: number;
  /** The compiled module, for programs that load it themselves. */
  module?: WebAssembly.Module;
}

export interface Limits {
  /** Bytes of queued messages, 32 for each included; 0: no limit. By default 32 MiB. */
  bytes?: number;
  /** Number of queued messages; 0: no limit. By default 1000000. */
  messages?: number;
  /** By default disconnect. */
  policy?: Policy;
  /** Tell with the event `missed` how many messages are missing, in their place. By default true. */
  notify?: boolean;
  /** A channel's option outboxPolicy takes precedence over `policy`. By default true. */
  channelPolicies?: boolean;
  /** One copy of each message, through its channel or else one of its patterns. By default false. */
  dedup?: boolean;
}

/** Options of channels, as of the directive `channel` of fanfared.conf(5). */
export interface ChannelOptions {
  /** Number of messages that are kept; needs historyTtl. */
  historySize?: number;
  /** For how long each message is kept, in seconds. */
  historyTtl?: number;
  historyBytes?: number | string;
  historyMessageBytes?: number | string;
  /** A plain subscribe() first delivers up to this many of the last messages that are kept. */
  replay?: number;
  outboxPolicy?: Policy | 'global';
  maxSubscribers?: number;
  maxMessage?: number | string;
}

export class Message {
  private constructor();
  readonly channel: string;
  /** The pattern through which it was received; undefined: the subscriber named the channel. */
  readonly pattern: string | undefined;
  readonly payload: string;
  readonly channelBytes: Buffer;
  readonly patternBytes: Buffer | undefined;
  /** As the other bytes no copy: all subscribers of the message share them. */
  readonly payloadBytes: Buffer;
  /** undefined: the channel keeps no history. */
  readonly position: Position | undefined;
  toJSON(): { channel: string; pattern: string | undefined; payload: string; position: Position | undefined };
}

export interface Resumption {
  /** resumed: every message behind the position follows. lost: some cannot, and only new ones follow. new: `since` names no
   * position. no-history: the channel keeps nothing. */
  verdict: 'resumed' | 'lost' | 'new' | 'no-history';
  /** Kept messages that follow before new ones; 0 of a pattern. */
  count: number;
  position: Position | undefined;
}

export interface OutboxState {
  bytes: number;
  messages: number;
  /** Messages that were dropped since the subscriber was made. */
  dropped: number;
  /** Kept messages that are still to be queued. */
  behind: number;
  subscriptions: number;
  /** Everything that is kept up to it was queued: a resumption may begin there. */
  position: Position | undefined;
}

export interface Outcome {
  receivers: number;
  queued: number;
  /** They get it from the history later. */
  catchingUp: number;
  position: Position | undefined;
}

export interface SubscriberEvents {
  message: [message: Message];
  /** So many messages are missing here. */
  missed: [count: number];
  /** A subscriber that does not flow has messages: read(). Once, until read() has given null. */
  readable: [];
  /** It gets nothing more. It is closed when its outbox has been read. */
  end: [reason: 'overflow' | 'overtaken'];
}

export class Subscriber extends EventEmitter implements AsyncIterable<Message> {
  private constructor();
  readonly closed: boolean;
  readonly paused: boolean;
  readonly limits: Required<Limits>;
  readonly state: OutboxState;
  /** False: it was subscribed before. */
  subscribe(channel: Bytes): boolean;
  psubscribe(pattern: Bytes): boolean;
  /** False: it was not subscribed. */
  unsubscribe(channel: Bytes): boolean;
  punsubscribe(pattern: Bytes): boolean;
  /** The number of subscriptions that ended. */
  unsubscribeAll(): number;
  /** Subscribes behind `since`: a position, "0" (everything kept), "$" (only new messages) or "-N" (the last N). */
  resume(channel: Bytes, since: Position | string): Resumption;
  presume(pattern: Bytes, since: Position | string): Resumption;
  setLimits(limits: Limits): void;
  /** Leaves messages in the outbox. */
  pause(): this;
  unpause(): this;
  /** The next message; null: there is none. */
  read(): Message | null;
  close(): void;
  on<E extends keyof SubscriberEvents>(event: E, listener: (...args: SubscriberEvents[E]) => void): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once<E extends keyof SubscriberEvents>(event: E, listener: (...args: SubscriberEvents[E]) => void): this;
  once(event: string | symbol, listener: (...args: any[]) => void): this;
  [Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined>;
}

export interface Figures {
  published: number;
  delivered: number;
  dropped: number;
  replayed: number;
  overtaken: number;
  evicted: number;
  expired: number;
  subscribers: number;
  subscriptions: number;
  channels: number;
  patterns: number;
  queuedBytes: number;
  queuedMessages: number;
  /** What memoryMax limits. */
  memory: number;
  logBytes: number;
  treeBytes: number;
  keptChannels: number;
  keptMessages: number;
  /** What historyMax limits. */
  keptBytes: number;
  replays: number;
  /** Bytes of the module's memory, which never shrinks. */
  linearMemory: number;
}

export class Hub extends EventEmitter {
  constructor(options?: HubOptions);
  readonly closed: boolean;
  /** The hub's own subscriber, whose events are also events of the hub. */
  readonly own: Subscriber;
  readonly figures: Figures;
  subscriber(listener: (message: Message, subscriber: Subscriber) => void): Subscriber;
  subscriber(options?: Limits, listener?: (message: Message, subscriber: Subscriber) => void): Subscriber;
  subscribe(channel: Bytes): boolean;
  psubscribe(pattern: Bytes): boolean;
  unsubscribe(channel: Bytes): boolean;
  punsubscribe(pattern: Bytes): boolean;
  /** The number of subscriptions that it reached. Throws FANFARE_BLOCKED, FANFARE_FULL: nothing was done. */
  publish(channel: Bytes, payload: Bytes, options?: { except?: Subscriber }): number;
  post(channel: Bytes, payload: Bytes, options?: { except?: Subscriber }): Outcome;
  publishWait(channel: Bytes, payload: Bytes, options?: { except?: Subscriber; signal?: AbortSignal }): Promise<number>;
  /** Delivers what is queued before it returns; throws what a listener throws. */
  flush(): void;
  setChannel(glob: Bytes, options: ChannelOptions | string): void;
  /** Without names: all options of this glob. */
  unsetChannel(glob: Bytes, ...names: string[]): void;
  /** The last messages, or the first `limit` of those from one position to another; the oldest first. */
  history(
    channel: Bytes,
    options?: { last?: number; from?: never; to?: never; limit?: never } | { from?: Position; to?: Position; limit?: number; last?: never },
  ): Message[];
  /** The number of messages that were removed. */
  deleteHistory(channel: Bytes): number;
  numsub(channel: Bytes): number;
  /** The channels that have subscribers or kept messages. Names that are not UTF-8 need bytes: true. */
  channels(options?: { bytes?: false }): Generator<string, void, undefined>;
  channels(options: { bytes: true }): Generator<Buffer, void, undefined>;
  close(): void;
  on<E extends keyof SubscriberEvents>(event: E, listener: (...args: SubscriberEvents[E]) => void): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
}

/** What the core refused. */
export class FanfareError extends Error {
  readonly code:
    | 'FANFARE_INVALID'
    | 'FANFARE_CLOSED'
    | 'FANFARE_ALREADY'
    | 'FANFARE_NAME_TOO_LONG'
    | 'FANFARE_TOO_MANY_SUBSCRIPTIONS'
    | 'FANFARE_TOO_MANY_SUBSCRIBERS'
    | 'FANFARE_TOO_MANY'
    | 'FANFARE_TOO_LARGE'
    | 'FANFARE_BLOCKED'
    | 'FANFARE_FULL'
    | 'FANFARE_BROKEN';
}
