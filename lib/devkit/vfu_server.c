/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user server's session: its request table and handlers; see vfu_server.h. */
#include "lib/devkit/vfu_server.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/vfu_internal.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <unistd.h>

/* The protocol's version as the specification's reference implementation speaks it. */
#define PROTOCOL_MAJOR 0
#define PROTOCOL_MINOR 1
#define CAPABILITIES "{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":256}}"
_Static_assert(sizeof(CAPABILITIES) <= VFU_JSON_MAX && VFU_DATA_MAX == 256, "as said above");

/* Bytes of a region's information with its sparse-mmap capability. */
#define SPARSE_INFO_LEN(n) (32 + 16 * (1 + (n)))

/*
 * m is the request, which the handler turns into its reply's payload. Descriptors that it keeps it
 * replaces by -1. 0; a positive errno for an error reply; or the client's error.
 */
typedef int (*vfu_handler)(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds,
			   int *reply_fd);

static int do_version(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds,
		      int *reply_fd)
{
	(void)fds, (void)n_fds, (void)reply_fd;
	if (m->version.major != PROTOCOL_MAJOR)
		return vfu_blame(s, "another major version");
	if (m->version.minor > PROTOCOL_MINOR)
		m->version.minor = PROTOCOL_MINOR;
	memset(m->version.json, 0, sizeof(m->version.json));
	memcpy(m->version.json, CAPABILITIES, sizeof(CAPABILITIES));
	s->state = VFU_STATE_SERVE;
	return 0;
}

/* No device here does DMA through vfio-user: maps are acknowledged and forgotten. */
static int do_dma(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds, int *reply_fd)
{
	(void)s, (void)m, (void)fds, (void)n_fds, (void)reply_fd;
	return 0;
}

static int do_device_info(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds,
			  int *reply_fd)
{
	(void)fds, (void)n_fds, (void)reply_fd;
	m->device_info.flags = VFIO_DEVICE_FLAGS_RESET;
	m->device_info.num_regions = s->spec->n_regions;
	m->device_info.num_irqs = s->spec->n_irqs;
	return 0;
}

static int do_region_info(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds,
			  int *reply_fd)
{
	uint32_t index = m->region_info.index;
	uint32_t room = m->region_info.argsz;
	const struct vfu_region *g;

	(void)fds, (void)n_fds;
	if (index >= s->spec->n_regions)
		return EINVAL;
	g = &s->spec->regions[index];
	memset(&m->region_info, 0, sizeof(m->region_info));
	m->region_info.index = index;
	m->region_info.size = g->size;
	if (g->size)
		m->region_info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (g->page_fd >= 0) {
		m->region_info.flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
		m->region_info.argsz = SPARSE_INFO_LEN(g->n_sparse);
	}
	/* A client with less room gets neither the areas nor the descriptor that goes with them, and
	 * asks again with as much as argsz says. */
	if (g->page_fd >= 0 && room >= SPARSE_INFO_LEN(g->n_sparse)) {
		*reply_fd = g->page_fd;
		m->region_info.n_sparse = g->n_sparse;
		memcpy(m->region_info.sparse, g->sparse, sizeof(g->sparse));
	}
	return 0;
}

/* Every access is a message: there are no sub-regions with descriptors. */
static int do_io_fds(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds, int *reply_fd)
{
	(void)fds, (void)n_fds, (void)reply_fd;
	if (m->io_fds.index >= s->spec->n_regions)
		return EINVAL;
	m->io_fds.flags = 0;
	m->io_fds.count = 0;
	return 0;
}

static int do_irq_info(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds,
		       int *reply_fd)
{
	(void)fds, (void)n_fds, (void)reply_fd;
	if (m->irq_info.index >= s->spec->n_irqs)
		return EINVAL;
	m->irq_info.flags = VFIO_IRQ_INFO_EVENTFD;
	m->irq_info.count = 1;
	return 0;
}

/* Two forms: an eventfd for the one interrupt of an index, and taking it away again. */
static int do_set_irqs(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds,
		       int *reply_fd)
{
	const uint32_t set = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	const uint32_t unset = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	uint32_t index = m->set_irqs.index;
	bool is_set = m->set_irqs.flags == set && m->set_irqs.count == 1 && n_fds == 1;
	bool is_unset = m->set_irqs.flags == unset && m->set_irqs.count == 0 && n_fds == 0;

	(void)reply_fd;
	if (index >= s->spec->n_irqs || m->set_irqs.start != 0 || !(is_set || is_unset))
		return EINVAL;
	if (is_set && fd_event_check(fds[0]) < 0)
		return EINVAL;
	closep(&s->irq_fd[index]);
	if (is_set)
		s->irq_fd[index] = take_fd(&fds[0]);
	return 0;
}

static bool access_known(const struct vfu_server *s, const struct vfu_msg *m)
{
	return m->access.region < s->spec->n_regions &&
	       range_within(m->access.offset, m->access.count,
			    s->spec->regions[m->access.region].size);
}

static bool width_taken(const struct vfu_server *s, const struct vfu_msg *m)
{
	uint32_t n = m->access.count;

	return (n == 1 || n == 2 || n == 4 || n == 8) &&
	       s->spec->regions[m->access.region].widths & n;
}

static int do_read(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds, int *reply_fd)
{
	uint32_t width = m->access.count;
	uint64_t v = ~0ULL;

	(void)fds, (void)n_fds, (void)reply_fd;
	if (!access_known(s, m) || width > VFU_DATA_MAX)
		return EINVAL;
	memset(m->access.data, 0xff, sizeof(m->access.data));
	if (s->ops->read_run &&
	    s->ops->read_run(s->owner, m->access.region, m->access.offset, m->access.data, width))
		return 0;
	if (!width_taken(s, m))
		return 0;
	v = s->ops->read(s->owner, m->access.region, m->access.offset, width);
	for (uint32_t i = 0; i < width; i++)
		m->access.data[i] = (uint8_t)(v >> (8 * i));
	return 0;
}

static int do_write(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds, int *reply_fd)
{
	uint32_t width = m->access.count;
	uint64_t v = 0;

	(void)fds, (void)n_fds, (void)reply_fd;
	if (!access_known(s, m))
		return EINVAL;
	if (!width_taken(s, m))
		return 0;
	for (uint32_t i = 0; i < width; i++)
		v |= (uint64_t)m->access.data[i] << (8 * i);
	s->ops->write(s->owner, m->access.region, m->access.offset, width, v);
	return 0;
}

static int do_reset(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds, int *reply_fd)
{
	(void)m, (void)fds, (void)n_fds, (void)reply_fd;
	s->ops->reset(s->owner);
	return 0;
}

struct vfu_row {
	uint16_t command;
	uint8_t states;
	uint8_t max_fds;
	bool postable; /* NO_REPLY makes sense */
	vfu_handler fn;
};

static const struct vfu_row table[] = {
	{ VFIO_USER_VERSION, VFU_STATE_START, 0, false, do_version },
	{ VFIO_USER_DMA_MAP, VFU_STATE_SERVE, 1, true, do_dma },
	{ VFIO_USER_DMA_UNMAP, VFU_STATE_SERVE, 0, true, do_dma },
	{ VFIO_USER_DEVICE_GET_INFO, VFU_STATE_SERVE, 0, false, do_device_info },
	{ VFIO_USER_DEVICE_GET_REGION_INFO, VFU_STATE_SERVE, 0, false, do_region_info },
	{ VFIO_USER_DEVICE_GET_REGION_IO_FDS, VFU_STATE_SERVE, 0, false, do_io_fds },
	{ VFIO_USER_DEVICE_GET_IRQ_INFO, VFU_STATE_SERVE, 0, false, do_irq_info },
	{ VFIO_USER_DEVICE_SET_IRQS, VFU_STATE_SERVE, 1, true, do_set_irqs },
	{ VFIO_USER_REGION_READ, VFU_STATE_SERVE, 0, false, do_read },
	{ VFIO_USER_REGION_WRITE, VFU_STATE_SERVE, 0, true, do_write },
	{ VFIO_USER_DEVICE_RESET, VFU_STATE_SERVE, 0, true, do_reset },
};

static const struct vfu_row *row_of(uint16_t command)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].command == command)
			return &table[i];
	return NULL;
}

int vfu_refuse(struct vfu_server *s, const struct vfu_msg *m, size_t n_fds)
{
	if (s->state == VFU_STATE_START)
		return vfu_blame(s, "a command before VERSION");
	if (n_fds)
		return vfu_blame(s, "descriptors that do not belong");
	return vfu_answer_error(s, m, EOPNOTSUPP);
}

int vfu_dispatch(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds)
{
	const struct vfu_row *row = row_of(m->command);
	bool no_reply = m->no_reply;
	int reply_fd = -1;
	int r;

	if (m->reply)
		return vfu_blame(s, "a reply to nothing");
	if (!row)
		return vfu_refuse(s, m, n_fds);
	if (!(row->states & s->state))
		return vfu_blame(s, "a command out of order");
	if (n_fds > row->max_fds)
		return vfu_blame(s, "descriptors that do not belong");
	if (no_reply && !row->postable)
		return vfu_blame(s, "a question that wants no answer");
	s->id = m->id;
	r = row->fn(s, m, fds, n_fds, &reply_fd);
	if (r < 0)
		return r;
	if (r > 0)
		return vfu_answer_error(s, m, r);
	if (no_reply)
		return 0;
	m->reply = true;
	return vfu_answer(s, m, reply_fd);
}

bool vfu_server_has_irq(const struct vfu_server *s, uint32_t index)
{
	return index < VFU_MAX_IRQS && s->irq_fd[index] >= 0;
}

void vfu_server_irq(struct vfu_server *s, uint32_t index)
{
	static const uint64_t one = 1;

	/* A counter that is full has an interrupt pending already; any other error is the client's
	 * own loss. */
	if (vfu_server_has_irq(s, index))
		(void)!write(s->irq_fd[index], &one, sizeof(one));
}
