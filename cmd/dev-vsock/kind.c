/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-vsock is; lib/kinds/kind.h. */
#include "cmd/dev-vsock/policy.h"
#include "cmd/dev-vsock/vsock.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/virtio_ids.h>

static int set_listen(void *owner, const char *value, const char **ret_why)
{
	struct vsock_options *o = owner;

	return ports_add(&o->listen, value, ret_why);
}

static bool put_listen(const void *owner, unsigned int i, char *out, size_t cap)
{
	const struct vsock_options *o = owner;

	return i == 0 && ports_say(&o->listen, out, cap);
}

static int set_connect(void *owner, const char *value, const char **ret_why)
{
	struct vsock_options *o = owner;
	int r = ports_add(&o->connect, value, ret_why);

	for (uint32_t i = 0; r == 0 && i < o->connect.n; i++)
		if (o->connect.port[i] >= CONN_OWN_PORTS) {
			*ret_why = "say ports below 1073741824: those above are clients'";
			r = -EINVAL;
		}
	return r;
}

static bool put_connect(const void *owner, unsigned int i, char *out, size_t cap)
{
	const struct vsock_options *o = owner;

	return i == 0 && ports_say(&o->connect, out, cap);
}

static bool reaches(const void *options, unsigned int i, uint32_t *ret_port)
{
	const struct vsock_options *o = options;

	if (i >= o->connect.n)
		return false;
	*ret_port = o->connect.port[i];
	return true;
}

static bool used(const void *options)
{
	(void)options;
	return true;
}

static const struct option options[] = {
	/* 0 to 2 are not a guest's (5.10.4), and the last is any */
	{ .name = "cid",
	  .type = OPTION_NUMBER,
	  OPTION_FIELD(struct vsock_options, cid),
	  .min = 3,
	  .max = UINT32_MAX - 1,
	  .initial = "3",
	  .help = "the guest's address" },
	{ .name = "listen",
	  .type = OPTION_OWN,
	  .flags = OPTION_ADDS_UP,
	  .value = "PORT,...",
	  .help = "ports of the guest that there are; none without",
	  .set = set_listen,
	  .put = put_listen },
	{ .name = "connect",
	  .type = OPTION_OWN,
	  .flags = OPTION_ADDS_UP,
	  .value = "PORT,...",
	  .help = "ports of the host that the guest reaches",
	  .set = set_connect,
	  .put = put_connect },
};

const struct device_kind vsock_kind = {
	.word = "vsock",
	.declared = &vsock_declared,
	.number = KIND_SWITCH,
	.help = "connections to ports of the guest, and from it",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.feature = { "virtio-vsock", used },
	.meets_fd = VSOCK_FD_LISTENER,
	.reach_fd = VSOCK_FD_DIALER,
	.reaches = reaches,
	.virtio = { .id = VIRTIO_ID_VSOCK,
		    .name = "vsock",
		    .class_code = 0x078000,
		    .n_queues = VSOCK_QUEUES,
		    .queues_min = VSOCK_QUEUES,
		    .config_len = 8,
		    .fd = VSOCK_FD_VHOST_USER },
	.restartable = true,
	.memory = (uint64_t)HUB_CONNS * CONN_BUFFER,
};
_Static_assert(sizeof(struct vsock_options) <= KIND_OPTIONS_BYTES, "room for them");
