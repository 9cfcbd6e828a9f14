#include "config.h"

#include "edge/routes.h"

#include <string.h>

#include "edge/edge_config.h"
#include "edge/handlers.h"

/* clang-format off */
static const struct edge_route routes[] = {
    /*                        prefix admin  page */
    {"/sse",                  false, false, false, EDGE_GET | EDGE_POST, EDGE_DOOR_SSE,     edge_sse},
    {"/sse/",                 true,  false, false, EDGE_GET,             EDGE_DOOR_SSE,     edge_sse},
    {"/ws",                   false, false, false, EDGE_GET,             EDGE_DOOR_WS,      edge_upgrade},
    {"/connection/websocket", false, false, false, EDGE_GET,             EDGE_DOOR_WS,      edge_upgrade},
    {"/pub/",                 true,  false, false, EDGE_POST,            EDGE_DOOR_PUBLISH, edge_publish},
    {"/healthz",              false, false, true,  EDGE_GET,             EDGE_DOOR_HEALTH,  edge_healthz},
    {"/readyz",               false, false, true,  EDGE_GET,             EDGE_DOOR_HEALTH,  edge_readyz},
    {"/metrics",              false, true,  true,  EDGE_GET,             EDGE_DOOR_METRICS, edge_metrics_page},
    {"/demo",                 false, true,  true,  EDGE_GET,             EDGE_DOOR_DEMO,    edge_demo},
};
/* clang-format on */

static bool
fits(const struct edge_route *route, struct slice path)
{
	size_t len = strlen(route->path);

	if (path.len < len || memcmp(path.ptr, route->path, len) != 0)
		return false;
	return route->is_prefix ? path.len > len : path.len == len;
}

const struct edge_route *
edge_route_find(struct slice path, uint32_t doors)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if ((doors & routes[i].door) != 0 && fits(&routes[i], path))
			return &routes[i];
	return NULL;
}
