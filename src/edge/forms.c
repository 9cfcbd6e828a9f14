#include "config.h"

#include "edge/forms.h"

#include "edge/sse_forms.h"
#include "edge/ws_deflate_form.h"
#include "edge/ws_form.h"
#include "json/utf8.h"

const struct wire_form edge_forms[EDGE_FORMS] = {
    [EDGE_FORM_SSE] = {.name = "sse",
	.measure = sse_measure,
	.transform = sse_transform,
	.ends = sse_ends,
	.write_ends = sse_write_ends,
	.notice = sse_notice},
    [EDGE_FORM_SSE_JSON] = {.name = "sse-json",
	.measure = sse_json_measure,
	.transform = sse_json_transform,
	.ends = sse_json_ends,
	.write_ends = sse_json_write_ends,
	.notice = sse_notice},
    [EDGE_FORM_WS] = {.name = "ws",
	.measure = ws_measure,
	.transform = ws_transform,
	.ends = ws_ends,
	.write_ends = ws_write_ends,
	.notice = ws_notice},
    [EDGE_FORM_WS_DEFLATE] = {.name = "ws-deflate",
	.measure = ws_deflate_measure,
	.transform = ws_deflate_transform,
	.ends = ws_deflate_ends,
	.write_ends = ws_deflate_write_ends,
	.notice = ws_notice},
};

bool
edge_forms_allow_prefix(const char *glob_prefix)
{
	return json_is_utf8(slice_of(glob_prefix));
}

void
edge_forms_configure(const char *glob_prefix, size_t deflate_min)
{
	ws_form_configure(glob_prefix);
	ws_deflate_form_configure(deflate_min);
}

void
edge_forms_release(void)
{
	ws_form_release();
	ws_deflate_form_release();
}
