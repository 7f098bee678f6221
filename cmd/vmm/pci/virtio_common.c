/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common configuration registers (VIRTIO 1.2, 4.1.4.3) as a table: for each its offset and
 * natural width, the states in which the driver may write it, and what reading and writing do. An
 * access of another width or offset reads 0 and writes nothing; so does a queue's register when
 * queue_select is out of range.
 */
#include "cmd/vmm/pci/virtio_pci.h"

#include "lib/base/cleanup.h"

#include <linux/virtio_pci.h>

#define INIT VIRTIO_STATE_INIT
#define FEATURES VIRTIO_STATE_FEATURES
#define LIVE VIRTIO_STATE_LIVE
#define BROKEN VIRTIO_STATE_BROKEN
#define ANY (INIT | FEATURES | LIVE | BROKEN)
#define NEVER 0

struct row {
	uint8_t offset;
	uint8_t width;
	uint8_t states; /* in which a write counts */
	bool of_queue;	/* the selected queue's */
	bool frozen;	/* not written once that queue is enabled */
	uint32_t (*read)(const struct virtio_pci *v, const struct virtio_queue *q);
	void (*write)(struct virtio_pci *v, struct virtio_queue *q, uint32_t value);
};

static uint32_t half_of(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static void set_low(uint64_t *field, uint32_t value)
{
	*field = (*field & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(uint64_t *field, uint32_t value)
{
	*field = (*field & UINT32_MAX) | (uint64_t)value << 32;
}

#define UNUSED_Q (void)q

static uint32_t r_device_select(const struct virtio_pci *v, const struct virtio_queue *q)
{
	UNUSED_Q;
	return v->device_feature_select;
}

static void w_device_select(struct virtio_pci *v, struct virtio_queue *q, uint32_t value)
{
	UNUSED_Q;
	v->device_feature_select = value;
}

static uint32_t r_device_feature(const struct virtio_pci *v, const struct virtio_queue *q)
{
	UNUSED_Q;
	return half_of(v->features, v->device_feature_select);
}

static uint32_t r_driver_select(const struct virtio_pci *v, const struct virtio_queue *q)
{
	UNUSED_Q;
	return v->driver_feature_select;
}

static void w_driver_select(struct virtio_pci *v, struct virtio_queue *q, uint32_t value)
{
	UNUSED_Q;
	v->driver_feature_select = value;
}

static uint32_t r_driver_feature(const struct virtio_pci *v, const struct virtio_queue *q)
{
	UNUSED_Q;
	return half_of(v->driver_features, v->driver_feature_select);
}

static void w_driver_feature(struct virtio_pci *v, struct virtio_queue *q, uint32_t value)
{
	UNUSED_Q;
	if (v->driver_feature_select == 0)
		set_low(&v->driver_features, value);
	else if (v->driver_feature_select == 1)
		set_high(&v->driver_features, value);
}

static uint32_t r_config_vector(const struct virtio_pci *v, const struct virtio_queue *q)
{
	UNUSED_Q;
	return msix_vector(&v->msix, v->config_source);
}

static void w_config_vector(struct virtio_pci *v, struct virtio_queue *q, uint32_t value)
{
	UNUSED_Q;
	(void)msix_map(&v->msix, v->config_source, (uint16_t)value);
}

static uint32_t r_num_queues(const struct virtio_pci *v, const struct virtio_queue *q)
{
	UNUSED_Q;
	return v->n_queues;
}

static uint32_t r_status(const struct virtio_pci *v, const struct virtio_queue *q)
{
	UNUSED_Q;
	return v->status;
}

static void w_status(struct virtio_pci *v, struct virtio_queue *q, uint32_t value)
{
	UNUSED_Q;
	virtio_set_status(v, (uint8_t)value);
}

static uint32_t r_generation(const struct virtio_pci *v, const struct virtio_queue *q)
{
	UNUSED_Q;
	return v->generation;
}

static uint32_t r_queue_select(const struct virtio_pci *v, const struct virtio_queue *q)
{
	UNUSED_Q;
	return v->queue_select;
}

static void w_queue_select(struct virtio_pci *v, struct virtio_queue *q, uint32_t value)
{
	UNUSED_Q;
	v->queue_select = (uint16_t)value;
}

static uint32_t r_queue_size(const struct virtio_pci *v, const struct virtio_queue *q)
{
	(void)v;
	return q->size;
}

/* Split rings: a power of two, and no larger than at power-on. */
static void w_queue_size(struct virtio_pci *v, struct virtio_queue *q, uint32_t value)
{
	(void)v;
	if (value && value <= QUEUE_SIZE_MAX && !(value & (value - 1)))
		q->size = (uint16_t)value;
}

static uint32_t r_queue_vector(const struct virtio_pci *v, const struct virtio_queue *q)
{
	return msix_vector(&v->msix, q->source);
}

static void w_queue_vector(struct virtio_pci *v, struct virtio_queue *q, uint32_t value)
{
	(void)msix_map(&v->msix, q->source, (uint16_t)value);
}

static uint32_t r_queue_enable(const struct virtio_pci *v, const struct virtio_queue *q)
{
	(void)v;
	return q->enabled;
}

/* The driver never writes 0 (4.1.4.3.2). */
static void w_queue_enable(struct virtio_pci *v, struct virtio_queue *q, uint32_t value)
{
	(void)v;
	if (value == 1)
		q->enabled = true;
}

static uint32_t r_notify_off(const struct virtio_pci *v, const struct virtio_queue *q)
{
	return (uint32_t)(q - v->queues);
}

#define QUEUE_ADDRESS(field)                                                                     \
	static uint32_t r_##field##_lo(const struct virtio_pci *v, const struct virtio_queue *q) \
	{                                                                                        \
		(void)v;                                                                         \
		return (uint32_t)q->field;                                                       \
	}                                                                                        \
	static uint32_t r_##field##_hi(const struct virtio_pci *v, const struct virtio_queue *q) \
	{                                                                                        \
		(void)v;                                                                         \
		return (uint32_t)(q->field >> 32);                                               \
	}                                                                                        \
	static void w_##field##_lo(struct virtio_pci *v, struct virtio_queue *q, uint32_t value) \
	{                                                                                        \
		(void)v;                                                                         \
		set_low(&q->field, value);                                                       \
	}                                                                                        \
	static void w_##field##_hi(struct virtio_pci *v, struct virtio_queue *q, uint32_t value) \
	{                                                                                        \
		(void)v;                                                                         \
		set_high(&q->field, value);                                                      \
	}

QUEUE_ADDRESS(desc)
QUEUE_ADDRESS(driver)
QUEUE_ADDRESS(device)

static const struct row rows[] = {
	{ VIRTIO_PCI_COMMON_DFSELECT, 4, ANY, false, false, r_device_select, w_device_select },
	{ VIRTIO_PCI_COMMON_DF, 4, NEVER, false, false, r_device_feature, NULL },
	{ VIRTIO_PCI_COMMON_GFSELECT, 4, ANY, false, false, r_driver_select, w_driver_select },
	{ VIRTIO_PCI_COMMON_GF, 4, INIT, false, false, r_driver_feature, w_driver_feature },
	{ VIRTIO_PCI_COMMON_MSIX, 2, ANY, false, false, r_config_vector, w_config_vector },
	{ VIRTIO_PCI_COMMON_NUMQ, 2, NEVER, false, false, r_num_queues, NULL },
	{ VIRTIO_PCI_COMMON_STATUS, 1, ANY, false, false, r_status, w_status },
	{ VIRTIO_PCI_COMMON_CFGGENERATION, 1, NEVER, false, false, r_generation, NULL },
	{ VIRTIO_PCI_COMMON_Q_SELECT, 2, ANY, false, false, r_queue_select, w_queue_select },
	{ VIRTIO_PCI_COMMON_Q_SIZE, 2, FEATURES, true, true, r_queue_size, w_queue_size },
	{ VIRTIO_PCI_COMMON_Q_MSIX, 2, ANY, true, false, r_queue_vector, w_queue_vector },
	{ VIRTIO_PCI_COMMON_Q_ENABLE, 2, FEATURES, true, true, r_queue_enable, w_queue_enable },
	{ VIRTIO_PCI_COMMON_Q_NOFF, 2, NEVER, true, false, r_notify_off, NULL },
	{ VIRTIO_PCI_COMMON_Q_DESCLO, 4, FEATURES, true, true, r_desc_lo, w_desc_lo },
	{ VIRTIO_PCI_COMMON_Q_DESCHI, 4, FEATURES, true, true, r_desc_hi, w_desc_hi },
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, 4, FEATURES, true, true, r_driver_lo, w_driver_lo },
	{ VIRTIO_PCI_COMMON_Q_AVAILHI, 4, FEATURES, true, true, r_driver_hi, w_driver_hi },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, 4, FEATURES, true, true, r_device_lo, w_device_lo },
	{ VIRTIO_PCI_COMMON_Q_USEDHI, 4, FEATURES, true, true, r_device_hi, w_device_hi },
};

static const struct row *row_at(uint64_t offset, unsigned int width)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].offset == offset && rows[i].width == width)
			return &rows[i];
	return NULL;
}

static struct virtio_queue *selected(struct virtio_pci *v)
{
	return v->queue_select < v->n_queues ? &v->queues[v->queue_select] : NULL;
}

uint64_t virtio_common_read(struct virtio_pci *v, uint64_t offset, unsigned int width)
{
	const struct row *row = row_at(offset, width);
	struct virtio_queue *q = selected(v);

	return row && (q || !row->of_queue) ? row->read(v, q) : 0;
}

void virtio_common_write(struct virtio_pci *v, uint64_t offset, unsigned int width, uint64_t value)
{
	const struct row *row = row_at(offset, width);
	struct virtio_queue *q = selected(v);

	if (!row || !(row->states & virtio_state(v)))
		return;
	if (row->of_queue && (!q || (row->frozen && q->enabled)))
		return;
	row->write(v, q, (uint32_t)value);
}
