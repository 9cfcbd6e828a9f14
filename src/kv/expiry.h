#ifndef KV_EXPIRY_H
#define KV_EXPIRY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Expiry: which of many things ends first. A 4-ary heap in segments, so that it grows and shrinks
 * without copying. Each thing is told its place through `moved`, and keeps it: so a time is changed
 * or taken away in O(log n).
 */
struct kv_expiry_entry {
	int64_t at_ms;
	void *thing;
};

struct kv_expiry {
	struct kv_expiry_entry **segments;
	size_t count;
	size_t segment_count;
	void (*moved)(void *thing, uint32_t place);
};

void kv_expiry_init(struct kv_expiry *e, void (*moved)(void *thing, uint32_t place));
void kv_expiry_release(struct kv_expiry *e);

/* At most UINT32_MAX things. moved is called for those whose place changes, the new one among them.
 */
void kv_expiry_add(struct kv_expiry *e, void *thing, int64_t at_ms);
void kv_expiry_remove(struct kv_expiry *e, uint32_t place);
void kv_expiry_change(struct kv_expiry *e, uint32_t place, int64_t at_ms);

/* place is below e->count; place 0 ends first. */
struct kv_expiry_entry *kv_expiry_at(const struct kv_expiry *e, uint32_t place);

#endif
