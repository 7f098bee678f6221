/* SPDX-License-Identifier: Apache-2.0 */
/* The target; see target.h. */
#include "cmd/storage-iscsi/target.h"

#include "cmd/storage-iscsi/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void explain(const void *client, int error, struct link_error *e)
{
	const struct target *t = client;
	const struct iscsi_portal *p = &t->uri->portal[0];
	const char *word = strerrordesc_np(-error);

	if (*t->client.why)
		word = t->client.why;
	snprintf(e->text, sizeof(e->text), "%.120s:%u%s: %s", p->host, p->port,
		 t->uri->n_portals > 1 ? " and the others" : "", word ? word : "failed");
}

static enum link_state state(const void *client)
{
	const struct target *t = client;

	if (t->client.phase == ISCSI_CLIENT_UP)
		return LINK_UP;
	return t->client.phase == ISCSI_CLIENT_GONE ? LINK_GONE : LINK_COMING;
}

static int connect_to(void *client, int sock)
{
	struct target *t = client;

	return iscsi_client_connect(&t->client, sock);
}

static int await(void *client, int control_fd, int timeout_ms)
{
	struct target *t = client;

	return iscsi_client_await(&t->client, control_fd, timeout_ms);
}

static bool served(const void *client)
{
	const struct target *t = client;

	return t->client.answered;
}

static void hang_up(void *client)
{
	struct target *t = client;

	iscsi_client_hang_up(&t->client);
}

static void fail(void *client, int result)
{
	struct target *t = client;

	iscsi_client_fail(&t->client, result);
}

static const struct link_client of_iscsi = {
	.server = "target",
	.state = state,
	.connect = connect_to,
	.await = await,
	.served = served,
	.hang_up = hang_up,
	.fail = fail,
	.explain = explain,
};

static void lost(struct iscsi_client *c)
{
	link_lost(c->lost_owner, -EPIPE);
}

static void found(struct iscsi_client *c)
{
	link_found(c->lost_owner);
}

int target_open(struct target *t, const struct iscsi_uri *uri, const struct iscsi_who *who,
		bool readonly, uint32_t logical, struct loop *loop)
{
	*t = (struct target){ .uri = uri };
	iscsi_client_open(&t->client, who, uri->lun, readonly, logical);
	t->client.lost = lost;
	t->client.found = found;
	t->client.lost_owner = &t->link;
	return link_open(&t->link, &of_iscsi, t, &t->client.image, STORAGE_ISCSI_FD_DIALER, loop);
}
