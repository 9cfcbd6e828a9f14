#include "config.h"

#include "link/testing_conversation.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "link/testing_link.h"

static void
replace_reply(const struct rig_conversation *c, size_t at, const struct wrong_reply *wrong)
{
	struct rig *rig = c->rig;

	c->again();
	rig->wrong_at = at;
	rig->wrong = wrong->bytes;
	c->converse();
	ck_assert_msg(rig->drops > 0 || c->goes_on(at, wrong->what),
	    "reply %zu (%d), wrong one %.*s", at, (int)rig->wrong_is, (int)wrong->bytes.len,
	    wrong->bytes.ptr);
	ck_assert_int_le(rig->drops, 1);
	ck_assert(rig->drops == 0 || strlen(rig->why) > 20);
	c->recovers();
}

void
rig_replace_each_reply(const struct rig_conversation *c)
{
	size_t last;

	c->again();
	c->converse();
	ck_assert_msg(link_state_of(c->rig->link) == LINK_UP, "%s", c->rig->why);
	last = *c->replies;
	ck_assert_uint_gt(last, c->replies_min);
	for (size_t at = 1; at <= last; at += (size_t)testing_stride(1, c->stride)) {
		for (size_t i = 0; i < wrong_replies_count; i++)
			replace_reply(c, at, &wrong_replies[i]);
		for (size_t i = 0; i < c->more_count; i++)
			replace_reply(c, at, &c->more[i]);
	}
}

void
rig_fail_each_send(const struct rig_conversation *c)
{
	size_t sends;

	c->again();
	c->converse();
	sends = c->rig->sends;
	ck_assert_uint_gt(sends, 5);
	for (size_t at = 1; at <= 2 * sends; at++) {
		c->again();
		c->rig->fail_at = (at + 1) / 2;
		c->rig->loses_at_once = at % 2 == 1;
		c->converse();
		c->recovers();
	}
}
