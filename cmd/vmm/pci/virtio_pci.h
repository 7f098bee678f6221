/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-pci transport, modern only (VIRTIO 1.2, 4.1), in front of a vhost-user back end.
 * Machine lock held everywhere.
 *
 *	virtio_pci.c     the device on the bus: making, the BAR's pages, power-on
 *	virtio_caps.c    capabilities; the window through configuration space
 *	virtio_common.c  the common configuration registers as a table: register x state -> action
 *	virtio_away.c    a back end that is gone, and its successor
 *	virtio_state.c   device status, queues' start and stop, device configuration
 *	virtio_image.c   the row of the state contract
 */
#ifndef BULKHEAD_VMM_PCI_VIRTIO_PCI_H
#define BULKHEAD_VMM_PCI_VIRTIO_PCI_H

#include "cmd/vmm/args.h"
#include "cmd/vmm/pci/function.h"
#include "cmd/vmm/pci/msix.h"
#include "cmd/vmm/pci/vhost_front.h"
#include "lib/base/log.h"

#define VIRTIO_PCI_MAX_QUEUES 64U

/* BAR 0: one page for each purpose */
#define VPCI_COMMON 0x0000U
#define VPCI_ISR 0x1000U
#define VPCI_CONFIG 0x2000U
#define VPCI_NOTIFY 0x3000U
#define VPCI_MSIX_TABLE 0x4000U
#define VPCI_MSIX_PBA 0x5000U
#define VPCI_BAR_SIZE 0x8000U
#define VPCI_PAGE_SIZE 0x1000U
#define VPCI_NOTIFY_STRIDE 4U /* bytes of a queue's slot */

#define VPCI_ISR_CONFIG 2U

struct virtio_queue {
	uint16_t size;
	bool enabled;
	uint64_t desc, driver, device;
	unsigned int source; /* of msix */
	int kick_fd;
	int call_fd;
	uint64_t notify_gpa; /* where kick_fd is bound as an ioeventfd; 0: nowhere */
};

/* What the device status means for the registers. */
enum virtio_state {
	VIRTIO_STATE_INIT = 1 << 0,	/* features are being negotiated */
	VIRTIO_STATE_FEATURES = 1 << 1, /* FEATURES_OK: queues are being configured */
	VIRTIO_STATE_LIVE = 1 << 2,	/* DRIVER_OK */
	VIRTIO_STATE_BROKEN = 1 << 3,	/* NEEDS_RESET, FAILED */
};

struct virtio_pci {
	struct pci_function fn;
	struct machine *m;
	const struct virtio_type *type;
	struct vhost_front front;
	struct msix msix;
	unsigned int config_source; /* of msix */
	int config_fd;		    /* its eventfd; ours alone */
	int err_fd;		    /* the back end's, of all rings */
	struct loop_source err;
	struct loop_source channel;
	struct log_gate gate;

	int msix_cap;
	int window_cap; /* VIRTIO_PCI_CAP_PCI_CFG */

	uint64_t features; /* offered to the driver */
	uint64_t driver_features;
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
	uint8_t status;
	uint8_t isr;
	uint8_t generation;
	bool running; /* the back end has the rings, or its successor will */
	bool away;    /* the back end is gone: virtio_away.c */
	/* It is letting go of them, and the lock is not held meanwhile: writes to the BAR are lost, and
	 * the status reads as before until the device is reset (2.4.1). */
	bool draining;
	uint64_t used_sum;    /* of its used rings' indexes, when they were looked at last */
	uint64_t notify_base; /* where the notify page is decoded; 0: nowhere */
	uint8_t config[VU_MAX_CONFIG];
	bool config_written[VU_MAX_CONFIG]; /* by the driver, since the device's reset */
	struct vhost_inflight inflight;
	unsigned int number; /* of the channel, as the supervisor counts */
	bool config_stale;   /* it has changed while draining */
	bool config_moved;   /* it has changed since power-on: each driver is told when it is up */
	unsigned int n_queues;
	struct virtio_queue queues[VIRTIO_PCI_MAX_QUEUES];
};

#define QUEUE_SIZE_MAX 256U

/* ---- virtio_pci.c ---- */

/* Watches the channel for its end. */
[[nodiscard]] int virtio_watch(struct virtio_pci *v);

/* An access to BAR 0, as the bus and the window make it. */
uint64_t virtio_bar_read(struct virtio_pci *v, uint64_t offset, unsigned int width);
void virtio_bar_write(struct virtio_pci *v, uint64_t offset, unsigned int width, uint64_t value);

/* ---- virtio_caps.c ---- */

[[nodiscard]] int virtio_caps_define(struct virtio_pci *v);
/* pci_function_ops */
void virtio_caps_read(struct pci_function *fn, unsigned int offset, unsigned int width);
void virtio_caps_written(struct pci_function *fn, unsigned int offset, unsigned int width);

/* ---- virtio_common.c ---- */

uint64_t virtio_common_read(struct virtio_pci *v, uint64_t offset, unsigned int width);
void virtio_common_write(struct virtio_pci *v, uint64_t offset, unsigned int width, uint64_t value);

/* ---- virtio_image.c ---- */

extern const struct state_ops virtio_pci_state; /* object: fn */

/* ---- virtio_state.c ---- */

enum virtio_state virtio_state(const struct virtio_pci *v);
void virtio_set_status(struct virtio_pci *v, uint8_t status);
/* Stops the rings and waits for the back end, which has let go of guest RAM then. */
[[nodiscard]] int virtio_stop(struct virtio_pci *v);
/* What virtio_stop has stopped goes on, or what was loaded: the back end, which knows nothing of it, gets what
 * the driver has negotiated and written, and the rings. */
[[nodiscard]] int virtio_go_on(struct virtio_pci *v);
/* The same; registers as at power-on. */
[[nodiscard]] int virtio_reset(struct virtio_pci *v);
/* The guest's error, or the device's: DEVICE_NEEDS_RESET. */
void virtio_needs_reset(struct virtio_pci *v, const char *why);
/* The back end's error: the VM ends. Returns error. */
int virtio_fail(struct virtio_pci *v, int error);
/* Gives the back end memory and rings; again: another one had them before. */
[[nodiscard]] int virtio_hand_over(struct virtio_pci *v, bool again);
/* A vhost_front's wait: without the lock. owner is the device. */
[[nodiscard]] int virtio_wait(void *owner, int sock, struct timespec *left);
/* A vhost_front's has_served, by what the used rings say; also before it is first needed. */
[[nodiscard]] bool virtio_has_served(void *owner);
void virtio_notify(struct virtio_pci *v, unsigned int queue);
/* Binds the queues' ioeventfds where the notify page is and the rings run, and unbinds others. */
void virtio_bind_notifiers(struct virtio_pci *v);
uint64_t virtio_config_read(struct virtio_pci *v, uint64_t offset, unsigned int width);
void virtio_config_write(struct virtio_pci *v, uint64_t offset, unsigned int width, uint64_t value);
/* Fetches the whole configuration space. */
[[nodiscard]] int virtio_config_fetch(struct virtio_pci *v);
/* The same of a device in use: its driver is told of a change. */
[[nodiscard]] int virtio_config_refresh(struct virtio_pci *v);

/* ---- virtio_away.c ---- */

/* The back end is gone: the supervisor is told, and either sends its successor or ends the VM. In any
 * thread: the channel is left to the main one, which a vCPU's filter keeps from the loop. */
void virtio_lose(struct virtio_pci *v);
/* A back end gets the driver's features and configuration, and the rings if they run. */
[[nodiscard]] int virtio_bring_up_to_date(struct virtio_pci *v);
/* The back end's successor; takes sock. 0, or a negative errno with *ret_why. */
[[nodiscard]] int virtio_reconnect(struct virtio_pci *v, int sock, const char **ret_why);
/* What an exchange came to: 0 where the back end was lost by it, which its successor makes good. */
[[nodiscard]] int virtio_outcome(struct virtio_pci *v, int r);
/* Fetches it again, as it may have changed, and tells the driver of a change (VIRTIO 1.2, 4.1.4.5.1). */
void virtio_config_changed(struct virtio_pci *v);

#endif
