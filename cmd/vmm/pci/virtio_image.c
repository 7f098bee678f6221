/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio function's row of the state contract; see virtio_pci.h. */
#include "cmd/vmm/pci/virtio_pci.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#define QUEUES VIRTIO_PCI_MAX_QUEUES
#define STATUS_BITS                                                                         \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

struct image {
	uint8_t config[PCI_CONFIG_SIZE];
	struct msix_image msix;
	uint32_t type;
	uint64_t driver_features;
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
	uint8_t status, isr, generation;
	uint8_t device_config[VU_MAX_CONFIG], config_written[VU_MAX_CONFIG];
	uint16_t n_queues;
	uint16_t size[QUEUES];
	uint8_t enabled[QUEUES];
	uint64_t desc[QUEUES], driver[QUEUES], device[QUEUES];
};

#define IMAGE struct image

static const struct state_field fields[] = {
	STATE_ANYS(IMAGE, config),
	MSIX_STATE(IMAGE, msix),
	STATE_ANY(IMAGE, type),
	STATE_ANY(IMAGE, driver_features),
	STATE_ANY(IMAGE, device_feature_select),
	STATE_ANY(IMAGE, driver_feature_select),
	STATE_ANY(IMAGE, queue_select),
	STATE_BITS(IMAGE, status, STATUS_BITS),
	STATE_BITS(IMAGE, isr, VPCI_ISR_CONFIG),
	STATE_ANY(IMAGE, generation),
	STATE_ANYS(IMAGE, device_config),
	STATE_BOOLS(IMAGE, config_written),
	STATE_RANGE(IMAGE, n_queues, 1, QUEUES),
	STATE_RANGES(IMAGE, size, 0, QUEUE_SIZE_MAX),
	STATE_BOOLS(IMAGE, enabled),
	STATE_ANYS(IMAGE, desc),
	STATE_ANYS(IMAGE, driver),
	STATE_ANYS(IMAGE, device),
};

static bool is_set(const IMAGE *i, uint8_t bit)
{
	return i->status & bit;
}

static const char *check_queue(const IMAGE *i, unsigned int q)
{
	if (q >= i->n_queues)
		return i->size[q] || i->enabled[q] || i->desc[q] || i->driver[q] || i->device[q] ?
			       "a queue beyond n_queues" :
			       NULL;
	if (!i->size[q] || i->size[q] & (i->size[q] - 1))
		return "a queue's size is no power of two";
	if (i->enabled[q] && !is_set(i, VIRTIO_CONFIG_S_FEATURES_OK))
		return "a queue is enabled before FEATURES_OK";
	return NULL;
}

static const char *check(const void *image)
{
	const IMAGE *i = image;
	const char *wrong = NULL;

	if (is_set(i, VIRTIO_CONFIG_S_DRIVER_OK) && !is_set(i, VIRTIO_CONFIG_S_FEATURES_OK))
		return "status has DRIVER_OK without FEATURES_OK";
	if (is_set(i, VIRTIO_CONFIG_S_FEATURES_OK) &&
	    !(i->driver_features & 1ULL << VIRTIO_F_VERSION_1))
		return "driver_features without VERSION_1";
	for (unsigned int q = 0; q < QUEUES && !wrong; q++)
		wrong = check_queue(i, q);
	return wrong;
}

static const struct state_schema schema = {
	.name = "virtio-pci",
	.version = 1,
	.size = sizeof(IMAGE),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.check = check,
};

_Static_assert(sizeof(IMAGE) <= STATE_IMAGE_MAX, "all of a function");

static int reset(void *object)
{
	struct pci_function *fn = object;
	struct virtio_pci *v = fn->owner;
	int r = virtio_reset(v);

	pci_config_reset(&fn->config);
	msix_reset(&v->msix);
	return r;
}

/* Requests in flight of a process that is away are its successor's. */
static int quiesce(void *object)
{
	struct virtio_pci *v = ((struct pci_function *)object)->owner;

	return v->running && v->away ? -EAGAIN : virtio_stop(v);
}

static void save(const void *object, void *image)
{
	const struct pci_function *fn = object;
	const struct virtio_pci *v = fn->owner;
	IMAGE *i = image;

	memcpy(i->config, fn->config.bytes, sizeof(i->config));
	msix_save(&v->msix, &i->msix);
	i->type = v->type->type;
	i->driver_features = v->driver_features;
	i->device_feature_select = v->device_feature_select;
	i->driver_feature_select = v->driver_feature_select;
	i->queue_select = v->queue_select;
	i->status = v->status;
	i->isr = v->isr;
	i->generation = v->generation;
	memcpy(i->device_config, v->config, sizeof(i->device_config));
	for (unsigned int k = 0; k < VU_MAX_CONFIG; k++)
		i->config_written[k] = v->config_written[k];
	i->n_queues = (uint16_t)v->n_queues;
	for (unsigned int q = 0; q < v->n_queues; q++) {
		i->size[q] = v->queues[q].size;
		i->enabled[q] = v->queues[q].enabled;
		i->desc[q] = v->queues[q].desc;
		i->driver[q] = v->queues[q].driver;
		i->device[q] = v->queues[q].device;
	}
}

/* NULL: it is of a device that was made as this one. */
static const char *misfit(const struct virtio_pci *v, const IMAGE *i)
{
	if (i->type != v->type->type || i->n_queues != v->n_queues)
		return "of another type of device, or with other queues";
	if (!pci_config_fits(&v->fn.config, i->config))
		return "configuration space of another device";
	if (!msix_fits(&v->msix, &i->msix))
		return "an interrupt vector that is not there";
	if (is_set(i, VIRTIO_CONFIG_S_FEATURES_OK) && i->driver_features & ~v->features)
		return "features that the device does not offer";
	return v->running ? "its rings run" : NULL;
}

/* The back end hears of features, configuration and rings when the rings go on. */
static int load(void *object, const void *image, const char **ret_why)
{
	struct pci_function *fn = object;
	struct virtio_pci *v = fn->owner;
	const IMAGE *i = image;
	const char *wrong = misfit(v, i);

	if (wrong) {
		*ret_why = wrong;
		return -EINVAL;
	}
	memcpy(fn->config.bytes, i->config, sizeof(i->config));
	v->driver_features = i->driver_features;
	v->device_feature_select = i->device_feature_select;
	v->driver_feature_select = i->driver_feature_select;
	v->queue_select = i->queue_select;
	v->status = i->status;
	v->isr = i->isr;
	v->generation = i->generation;
	memcpy(v->config, i->device_config, sizeof(v->config));
	for (unsigned int k = 0; k < VU_MAX_CONFIG; k++)
		v->config_written[k] = i->config_written[k];
	for (unsigned int q = 0; q < v->n_queues; q++) {
		v->queues[q].size = i->size[q];
		v->queues[q].enabled = i->enabled[q];
		v->queues[q].desc = i->desc[q];
		v->queues[q].driver = i->driver[q];
		v->queues[q].device = i->device[q];
	}
	msix_load(&v->msix, &i->msix);
	pci_bars_place(v->m->pci);
	virtio_caps_written(fn, 0, 0);
	return 0;
}

/* Rings that were in use, from the first request on that is not done. A saved state's rings may be anywhere. */
static int resume(void *object)
{
	struct virtio_pci *v = ((struct pci_function *)object)->owner;
	int r = virtio_outcome(v, virtio_go_on(v));

	return r < 0 ? virtio_fail(v, r) : 0;
}

const struct state_ops virtio_pci_state = { "virtio-pci", &schema, reset, quiesce,
					    save,	  load,	   resume };
