/* SPDX-License-Identifier: Apache-2.0 */
/* What each vfio-user command carries, field by field; see payload.h. */
#include "lib/vfio_user/payload.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>

/* Bytes of the fixed part of a payload, which argsz has to cover where there is one. */
#define DMA_MAP_LEN 32
#define DMA_UNMAP_LEN 24
#define DEVICE_INFO_LEN 16
#define REGION_INFO_LEN 32
#define IO_FDS_LEN 16
#define IRQ_INFO_LEN 16
#define SET_IRQS_LEN 20

/* "VFIO region info cap sparse mmap" and its header, before the areas */
#define SPARSE_HEADER_LEN 16
#define SPARSE_AREA_LEN 16
#define SPARSE_VERSION 1

/* ---- fields ---- */

static void need(struct bytes_reader *r, bool ok)
{
	if (!ok)
		r->failed = true;
}

static void want(struct bytes_writer *w, bool ok)
{
	if (!ok)
		w->failed = true;
}

static uint32_t get_argsz(struct bytes_reader *r, uint32_t least)
{
	uint32_t argsz = bytes_get32(r);

	need(r, argsz >= least);
	return argsz;
}

static void get_zero32(struct bytes_reader *r)
{
	need(r, bytes_get32(r) == 0);
}

static void get_zero64(struct bytes_reader *r)
{
	need(r, bytes_get64(r) == 0);
}

static void get_none(struct bytes_reader *r, struct vfu_msg *m)
{
	(void)r, (void)m;
}

static void put_none(struct bytes_writer *w, const struct vfu_msg *m)
{
	(void)w, (void)m;
}

/* ---- VERSION ---- */

static void get_version(struct bytes_reader *r, struct vfu_msg *m)
{
	size_t len;

	m->version.major = bytes_get16(r);
	m->version.minor = bytes_get16(r);
	len = bytes_left(r);
	if (!len || r->failed)
		return;
	need(r, len <= sizeof(m->version.json));
	if (r->failed)
		return;
	bytes_get(r, m->version.json, len);
	need(r, strnlen(m->version.json, len) == len - 1);
}

static void put_version(struct bytes_writer *w, const struct vfu_msg *m)
{
	size_t len = strnlen(m->version.json, sizeof(m->version.json));

	want(w, len < sizeof(m->version.json));
	bytes_put16(w, m->version.major);
	bytes_put16(w, m->version.minor);
	if (len)
		bytes_put(w, m->version.json, len + 1);
}

/* ---- DMA_MAP, DMA_UNMAP ---- */

static void get_dma_map(struct bytes_reader *r, struct vfu_msg *m)
{
	get_argsz(r, DMA_MAP_LEN);
	m->dma.flags = bytes_get32(r);
	m->dma.offset = bytes_get64(r);
	m->dma.address = bytes_get64(r);
	m->dma.size = bytes_get64(r);
}

static void put_dma_map(struct bytes_writer *w, const struct vfu_msg *m)
{
	bytes_put32(w, DMA_MAP_LEN);
	bytes_put32(w, m->dma.flags);
	bytes_put64(w, m->dma.offset);
	bytes_put64(w, m->dma.address);
	bytes_put64(w, m->dma.size);
}

static void get_dma_unmap(struct bytes_reader *r, struct vfu_msg *m)
{
	get_argsz(r, DMA_UNMAP_LEN);
	m->dma.flags = bytes_get32(r);
	m->dma.address = bytes_get64(r);
	m->dma.size = bytes_get64(r);
}

static void put_dma_unmap(struct bytes_writer *w, const struct vfu_msg *m)
{
	bytes_put32(w, DMA_UNMAP_LEN);
	bytes_put32(w, m->dma.flags);
	bytes_put64(w, m->dma.address);
	bytes_put64(w, m->dma.size);
}

/* ---- DEVICE_GET_INFO ---- */

static void get_device_info_request(struct bytes_reader *r, struct vfu_msg *m)
{
	(void)m;
	get_argsz(r, DEVICE_INFO_LEN);
	get_zero32(r);
	get_zero64(r);
}

static void put_device_info_request(struct bytes_writer *w, const struct vfu_msg *m)
{
	(void)m;
	bytes_put32(w, DEVICE_INFO_LEN);
	bytes_put32(w, 0);
	bytes_put64(w, 0);
}

static void get_device_info(struct bytes_reader *r, struct vfu_msg *m)
{
	get_argsz(r, DEVICE_INFO_LEN);
	m->device_info.flags = bytes_get32(r);
	m->device_info.num_regions = bytes_get32(r);
	m->device_info.num_irqs = bytes_get32(r);
}

static void put_device_info(struct bytes_writer *w, const struct vfu_msg *m)
{
	bytes_put32(w, DEVICE_INFO_LEN);
	bytes_put32(w, m->device_info.flags);
	bytes_put32(w, m->device_info.num_regions);
	bytes_put32(w, m->device_info.num_irqs);
}

/* ---- DEVICE_GET_REGION_INFO ---- */

static void get_region_info_request(struct bytes_reader *r, struct vfu_msg *m)
{
	m->region_info.argsz = get_argsz(r, REGION_INFO_LEN);
	get_zero32(r);
	m->region_info.index = bytes_get32(r);
	get_zero32(r);
	get_zero64(r);
	get_zero64(r);
}

static void put_region_info_request(struct bytes_writer *w, const struct vfu_msg *m)
{
	uint32_t argsz = m->region_info.argsz ? m->region_info.argsz : VFU_PAYLOAD_MAX;

	want(w, argsz >= REGION_INFO_LEN);
	bytes_put32(w, argsz);
	bytes_put32(w, 0);
	bytes_put32(w, m->region_info.index);
	bytes_put32(w, 0);
	bytes_put64(w, 0);
	bytes_put64(w, 0);
}

static uint32_t caps_len(uint32_t n_sparse)
{
	return n_sparse ? SPARSE_HEADER_LEN + n_sparse * SPARSE_AREA_LEN : 0;
}

static void get_sparse(struct bytes_reader *r, struct vfu_msg *m)
{
	need(r, bytes_get16(r) == VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	need(r, bytes_get16(r) == SPARSE_VERSION);
	get_zero32(r); /* the last capability */
	m->region_info.n_sparse = bytes_get32(r);
	bytes_skip(r, 4);
	need(r, m->region_info.n_sparse >= 1 && m->region_info.n_sparse <= VFU_MAX_SPARSE);
	for (uint32_t i = 0; !r->failed && i < m->region_info.n_sparse; i++) {
		m->region_info.sparse[i].offset = bytes_get64(r);
		m->region_info.sparse[i].size = bytes_get64(r);
	}
}

static void put_sparse(struct bytes_writer *w, const struct vfu_msg *m)
{
	bytes_put16(w, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	bytes_put16(w, SPARSE_VERSION);
	bytes_put32(w, 0);
	bytes_put32(w, m->region_info.n_sparse);
	bytes_put32(w, 0);
	for (uint32_t i = 0; i < m->region_info.n_sparse; i++) {
		bytes_put64(w, m->region_info.sparse[i].offset);
		bytes_put64(w, m->region_info.sparse[i].size);
	}
}

static void get_region_info(struct bytes_reader *r, struct vfu_msg *m)
{
	uint32_t cap_offset;

	m->region_info.argsz = get_argsz(r, REGION_INFO_LEN);
	m->region_info.flags = bytes_get32(r);
	m->region_info.index = bytes_get32(r);
	cap_offset = bytes_get32(r);
	m->region_info.size = bytes_get64(r);
	m->region_info.offset = bytes_get64(r);
	if (!bytes_left(r))
		return; /* no capabilities, or left out for want of room */
	need(r, m->region_info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	need(r, cap_offset == REGION_INFO_LEN);
	get_sparse(r, m);
	need(r, m->region_info.argsz >= r->len);
}

static void put_region_info(struct bytes_writer *w, const struct vfu_msg *m)
{
	uint32_t n = m->region_info.n_sparse;
	uint32_t len = REGION_INFO_LEN + (n <= VFU_MAX_SPARSE ? caps_len(n) : 0);
	uint32_t argsz = m->region_info.argsz ? m->region_info.argsz : len;

	want(w, n <= VFU_MAX_SPARSE && argsz >= len);
	want(w, !n || m->region_info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	if (w->failed)
		return;
	bytes_put32(w, argsz);
	bytes_put32(w, m->region_info.flags);
	bytes_put32(w, m->region_info.index);
	bytes_put32(w, n ? REGION_INFO_LEN : 0);
	bytes_put64(w, m->region_info.size);
	bytes_put64(w, m->region_info.offset);
	if (n)
		put_sparse(w, m);
}

/* ---- DEVICE_GET_REGION_IO_FDS ---- */

static void get_io_fds(struct bytes_reader *r, struct vfu_msg *m)
{
	get_argsz(r, IO_FDS_LEN);
	get_zero32(r);
	m->io_fds.index = bytes_get32(r);
	get_zero32(r);
}

static void put_io_fds(struct bytes_writer *w, const struct vfu_msg *m)
{
	want(w, !m->io_fds.flags && !m->io_fds.count);
	bytes_put32(w, IO_FDS_LEN);
	bytes_put32(w, 0);
	bytes_put32(w, m->io_fds.index);
	bytes_put32(w, 0);
}

/* ---- DEVICE_GET_IRQ_INFO, DEVICE_SET_IRQS ---- */

static void get_irq_info_request(struct bytes_reader *r, struct vfu_msg *m)
{
	get_argsz(r, IRQ_INFO_LEN);
	get_zero32(r);
	m->irq_info.index = bytes_get32(r);
	get_zero32(r);
}

static void put_irq_info_request(struct bytes_writer *w, const struct vfu_msg *m)
{
	bytes_put32(w, IRQ_INFO_LEN);
	bytes_put32(w, 0);
	bytes_put32(w, m->irq_info.index);
	bytes_put32(w, 0);
}

static void get_irq_info(struct bytes_reader *r, struct vfu_msg *m)
{
	get_argsz(r, IRQ_INFO_LEN);
	m->irq_info.flags = bytes_get32(r);
	m->irq_info.index = bytes_get32(r);
	m->irq_info.count = bytes_get32(r);
}

static void put_irq_info(struct bytes_writer *w, const struct vfu_msg *m)
{
	bytes_put32(w, IRQ_INFO_LEN);
	bytes_put32(w, m->irq_info.flags);
	bytes_put32(w, m->irq_info.index);
	bytes_put32(w, m->irq_info.count);
}

static void get_set_irqs(struct bytes_reader *r, struct vfu_msg *m)
{
	get_argsz(r, SET_IRQS_LEN);
	m->set_irqs.flags = bytes_get32(r);
	m->set_irqs.index = bytes_get32(r);
	m->set_irqs.start = bytes_get32(r);
	m->set_irqs.count = bytes_get32(r);
}

static void put_set_irqs(struct bytes_writer *w, const struct vfu_msg *m)
{
	bytes_put32(w, SET_IRQS_LEN);
	bytes_put32(w, m->set_irqs.flags);
	bytes_put32(w, m->set_irqs.index);
	bytes_put32(w, m->set_irqs.start);
	bytes_put32(w, m->set_irqs.count);
}

/* ---- REGION_READ, REGION_WRITE ---- */

static void get_place(struct bytes_reader *r, struct vfu_msg *m)
{
	m->access.offset = bytes_get64(r);
	m->access.region = bytes_get32(r);
	m->access.count = bytes_get32(r);
}

static void put_place(struct bytes_writer *w, const struct vfu_msg *m)
{
	bytes_put64(w, m->access.offset);
	bytes_put32(w, m->access.region);
	bytes_put32(w, m->access.count);
}

static void get_bounded_place(struct bytes_reader *r, struct vfu_msg *m)
{
	get_place(r, m);
	need(r, m->access.count <= VFU_DATA_MAX);
}

static void put_bounded_place(struct bytes_writer *w, const struct vfu_msg *m)
{
	want(w, m->access.count <= VFU_DATA_MAX);
	put_place(w, m);
}

static void get_access(struct bytes_reader *r, struct vfu_msg *m)
{
	get_bounded_place(r, m);
	if (!r->failed)
		bytes_get(r, m->access.data, m->access.count);
}

static void put_access(struct bytes_writer *w, const struct vfu_msg *m)
{
	put_bounded_place(w, m);
	if (!w->failed)
		bytes_put(w, m->access.data, m->access.count);
}

/* ---- the commands ---- */

static const struct vfu_row rows[] = {
	{ VFIO_USER_VERSION, get_version, put_version, get_version, put_version },
	{ VFIO_USER_DMA_MAP, get_dma_map, put_dma_map, get_none, put_none },
	{ VFIO_USER_DMA_UNMAP, get_dma_unmap, put_dma_unmap, get_dma_unmap, put_dma_unmap },
	{ VFIO_USER_DEVICE_GET_INFO, get_device_info_request, put_device_info_request,
	  get_device_info, put_device_info },
	{ VFIO_USER_DEVICE_GET_REGION_INFO, get_region_info_request, put_region_info_request,
	  get_region_info, put_region_info },
	{ VFIO_USER_DEVICE_GET_REGION_IO_FDS, get_io_fds, put_io_fds, get_io_fds, put_io_fds },
	{ VFIO_USER_DEVICE_GET_IRQ_INFO, get_irq_info_request, put_irq_info_request, get_irq_info,
	  put_irq_info },
	{ VFIO_USER_DEVICE_SET_IRQS, get_set_irqs, put_set_irqs, get_none, put_none },
	{ VFIO_USER_REGION_READ, get_bounded_place, put_bounded_place, get_access, put_access },
	{ VFIO_USER_REGION_WRITE, get_access, put_access, get_place, put_place },
	{ VFIO_USER_DEVICE_RESET, get_none, put_none, get_none, put_none },
};

const struct vfu_row *vfu_row_of(unsigned int command)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].command == command)
			return &rows[i];
	return NULL;
}

vfu_get vfu_getter(const struct vfu_row *row, const struct vfu_msg *m)
{
	if (m->error)
		return get_none;
	return m->reply ? row->get_reply : row->get_request;
}

vfu_put vfu_putter(const struct vfu_row *row, const struct vfu_msg *m)
{
	if (m->error)
		return put_none;
	return m->reply ? row->put_reply : row->put_request;
}
