/* SPDX-License-Identifier: Apache-2.0 */
/* An adapter's own state, beside its rings and what its driver negotiated; see virtio_scsi.h. No request is in flight. */
#include "lib/virtio_scsi/virtio_scsi.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>

struct vscsi_image {
	uint32_t sense_size, cdb_size;
	uint8_t open[SCSI_LUNS_MAX], locked[SCSI_LUNS_MAX];
	uint32_t attention[SCSI_LUNS_MAX];
	uint64_t blocks[SCSI_LUNS_MAX]; /* that the driver may have seen; 0: none */
};

static const struct state_field fields[] = {
	STATE_RANGE(struct vscsi_image, sense_size, 0, VSCSI_SIZE_MAX),
	STATE_RANGE(struct vscsi_image, cdb_size, SCSI_CDB_MAX, VSCSI_SIZE_MAX),
	STATE_BOOLS(struct vscsi_image, open),
	STATE_BOOLS(struct vscsi_image, locked),
	STATE_BITSES(struct vscsi_image, attention, 0x0fffff),
	STATE_ANYS(struct vscsi_image, blocks),
};

static bool is_attention(uint32_t sense)
{
	return sense == SENSE_NONE || sense == SENSE_MEDIUM_CHANGED || sense == SENSE_WAS_RESET ||
	       sense == SENSE_CAPACITY_CHANGED;
}

static const char *check(const void *image)
{
	const struct vscsi_image *m = image;

	for (unsigned int i = 0; i < SCSI_LUNS_MAX; i++)
		if (!is_attention(m->attention[i]))
			return "a unit has an attention that there is none of";
	return NULL;
}

static const struct state_schema schema = {
	.name = "virtio-scsi",
	.version = 2,
	.size = sizeof(struct vscsi_image),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.check = check,
};

static int reset(void *object)
{
	struct vscsi *v = object;

	vscsi_config_reset(&v->config);
	v->changed = 0;
	for (unsigned int i = 0; i < v->config.n_luns; i++)
		scsi_lun_reset(&v->lun[i]);
	vscsi_keep(v);
	return 0;
}

static void save(const void *object, void *image)
{
	const struct vscsi *v = object;
	struct vscsi_image *m = image;

	m->sense_size = v->config.sense_size;
	m->cdb_size = v->config.cdb_size;
	for (unsigned int i = 0; i < v->config.n_luns; i++) {
		m->open[i] = v->lun[i].open;
		m->locked[i] = v->lun[i].locked;
		m->attention[i] = v->lun[i].attention;
		m->blocks[i] = v->lun[i].n_blocks;
	}
}

void vscsi_keep(struct vscsi *v)
{
	struct vscsi_image image = { 0 };

	if (!v->kept)
		return;
	save(v, &image);
	kept_keep(v->kept, &schema, &image);
}

/* A disk that has become larger, or smaller, meanwhile: its driver is told, by an event and by the next command. */
static void load_unit(struct vscsi *v, const struct vscsi_image *m, unsigned int i)
{
	struct scsi_lun *l = &v->lun[i];

	l->open = m->open[i];
	l->locked = m->locked[i];
	l->attention = m->attention[i];
	if (l->type == SCSI_DISK && m->blocks[i] && m->blocks[i] != l->n_blocks)
		l->attention = SENSE_CAPACITY_CHANGED;
	if (l->attention == SENSE_CAPACITY_CHANGED)
		v->changed |= 1U << i;
}

static int load(void *object, const void *image, const char **ret_why)
{
	const struct vscsi_image *m = image;
	struct vscsi *v = object;

	for (unsigned int i = 0; i < SCSI_LUNS_MAX; i++)
		if (m->open[i] && (i >= v->config.n_luns || v->lun[i].type != SCSI_CDROM)) {
			*ret_why = "a unit is open that has no tray";
			return -EINVAL;
		}
	v->config.sense_size = m->sense_size;
	v->config.cdb_size = m->cdb_size;
	for (unsigned int i = 0; i < v->config.n_luns; i++)
		load_unit(v, m, i);
	vscsi_keep(v);
	return 0;
}

int vscsi_go_on(struct vscsi *v, struct kept *kept, char ret_why[STATE_WHY_MAX])
{
	struct vscsi_image image;
	const char *why = NULL;
	int r = kept_load(kept, &schema, &image, ret_why);

	if (r > 0) {
		r = load(v, &image, &why);
		if (r < 0)
			snprintf(ret_why, STATE_WHY_MAX, "%s", why);
	}
	if (r < 0)
		kept_clear(kept);
	kept_begin(kept, &schema);
	v->kept = kept;
	vscsi_keep(v);
	return r;
}

const struct state_ops vscsi_state = { "virtio-scsi", &schema, reset, NULL, save, load, NULL };
