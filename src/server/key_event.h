#ifndef SERVER_KEY_EVENT_H
#define SERVER_KEY_EVENT_H

/* Classes of keyspace events; the letters of notify-keyspace-events. */
enum key_class {
	KEY_GENERIC = 1 << 0, /* g */
	KEY_STRING = 1 << 1,  /* $ */
	KEY_LIST = 1 << 2,    /* l */
	KEY_SET = 1 << 3,     /* s */
	KEY_HASH = 1 << 4,    /* h */
	KEY_ZSET = 1 << 5,    /* z */
	KEY_EXPIRED = 1 << 6, /* x */
	KEY_EVICTED = 1 << 7, /* e */
	KEY_MISS = 1 << 8,    /* m */
	KEY_NEW = 1 << 9,     /* n */
	KEY_STREAM = 1 << 10, /* t */
	KEY_MODULE = 1 << 11, /* d: never happens */
};

#endif
