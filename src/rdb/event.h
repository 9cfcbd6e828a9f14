#ifndef RDB_EVENT_H
#define RDB_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * What a reader of an RDB file finds, one thing after the other. A value comes in elements, so that
 * the memory for it is that of its largest element or packed node.
 *
 *     DATABASE, then for each key: KEY, elements, KEY_END
 *
 * The elements of a stream are: for each entry, ENTRY and one ELEMENT for each field; STREAM; and
 * for each group: GROUP, and for each consumer CONSUMER and its PENDING entries.
 */
enum rdb_type {
	RDB_STRING,
	RDB_LIST,
	RDB_SET,
	RDB_ZSET,
	RDB_HASH,
	RDB_STREAM,
	RDB_MODULE, /* has no elements: its value is skipped */
	RDB_TYPES,
};

enum rdb_event_kind {
	RDB_EVENT_DATABASE, /* number: of the keys that follow */
	RDB_EVENT_KEY,      /* first: its name; type; time_ms; RDB_MODULE: second: module */
	RDB_EVENT_ELEMENT,  /* first; second: score, or value of a field; time_ms: of a field */
	RDB_EVENT_ENTRY,    /* id; number: its fields */
	RDB_EVENT_STREAM,   /* id: the last one; deleted_id, number: entries added, if
			       has_figures; count: entries */
	RDB_EVENT_GROUP,    /* first: its name; id; number: entries read, if has_figures */
	RDB_EVENT_CONSUMER, /* first: its name */
	RDB_EVENT_PENDING,  /* id; time_ms: of its delivery; number: deliveries */
	RDB_EVENT_KEY_END,
	RDB_EVENT_FUNCTIONS,  /* first: the code of a library */
	RDB_EVENT_AUX,        /* first: name; second: value: about the file */
	RDB_EVENT_MODULE_AUX, /* first: name of the module; its data are skipped */
	RDB_EVENT_END,
};

struct rdb_id {
	uint64_t ms, seq;
};

struct rdb_event {
	enum rdb_event_kind kind;
	enum rdb_type type;
	struct slice first, second; /* borrowed from the reader, until the next call */
	bool has_time, has_figures;
	int64_t time_ms; /* Unix time */
	uint64_t number, count;
	struct rdb_id id, deleted_id;
};

/* "string", "list", ... */
const char *rdb_type_name(enum rdb_type type);

#endif
