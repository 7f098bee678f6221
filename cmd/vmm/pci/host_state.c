/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the state contract of the PCI host and its bridge; see function.h. */
#include "cmd/vmm/pci/function.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>

#define ADDRESS_KEPT 0x80fffffcU

/* ---- the host: mechanism #1, and where BARs are decoded ---- */

struct host_image {
	uint32_t conf1_address;
};

static const struct state_field host_fields[] = {
	STATE_BITS(struct host_image, conf1_address, ADDRESS_KEPT),
};

static const struct state_schema host_schema = {
	.name = "pci-host",
	.version = 1,
	.size = sizeof(struct host_image),
	.fields = host_fields,
	.n_fields = ARRAY_SIZE(host_fields),
};

/* All functions are reset by now, as they are made later. */
static int host_reset(void *object)
{
	struct pci_host *host = object;

	host->conf1_address = 0;
	pci_bars_place(host);
	return 0;
}

static void host_save(const void *object, void *image)
{
	((struct host_image *)image)->conf1_address =
		((const struct pci_host *)object)->conf1_address;
}

static int host_load(void *object, const void *image, const char **ret_why)
{
	(void)ret_why;
	((struct pci_host *)object)->conf1_address =
		((const struct host_image *)image)->conf1_address;
	return 0;
}

const struct state_ops pci_host_state = { "pci-host", &host_schema, host_reset,
					  NULL,	      host_save,    host_load };

/* ---- the bridge ---- */

struct bridge_image {
	uint8_t config[PCI_CONFIG_SIZE];
};

static const struct state_field bridge_fields[] = {
	STATE_ANYS(struct bridge_image, config),
};

static const struct state_schema bridge_schema = {
	.name = "pci-bridge",
	.version = 1,
	.size = sizeof(struct bridge_image),
	.fields = bridge_fields,
	.n_fields = ARRAY_SIZE(bridge_fields),
};

static int bridge_reset(void *object)
{
	struct pci_function *fn = object;

	pci_config_reset(&fn->config);
	return 0;
}

static void bridge_save(const void *object, void *image)
{
	const struct pci_function *fn = object;

	memcpy(image, fn->config.bytes, PCI_CONFIG_SIZE);
}

static int bridge_load(void *object, const void *image, const char **ret_why)
{
	struct pci_function *fn = object;

	if (!pci_config_fits(&fn->config, image)) {
		*ret_why = "configuration space of another bridge";
		return -EINVAL;
	}
	memcpy(fn->config.bytes, image, PCI_CONFIG_SIZE);
	return 0;
}

static const struct state_ops bridge_state = { "pci-bridge", &bridge_schema, bridge_reset,
					       NULL,	     bridge_save,    bridge_load };

const struct pci_function_ops pci_bridge_ops = { .state = &bridge_state };
