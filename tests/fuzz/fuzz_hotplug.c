/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that is the fuzzer, at the registers of the slots in which devices come and go, while the
 * supervisor plugs and asks: a slot is taken, asked for or empty as the state table says, what has gone is off
 * the bus, each is said to be gone once, and nothing is bound for it any more.
 */
#include "cmd/vmm/pci/hotplug.h"
#include "cmd/vmm/pci/pci.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/testtype.h"
#include "tests/unit/testvmm.h"

#include <string.h>
#include <sys/socket.h>

#define STEPS_MAX 64

static struct machine m;
static struct accel accel;
static struct back_end back;
static int backs[PCI_SLOTS];	      /* the other ends of channels, on which nobody listens */
static uint32_t here, asked, ejected; /* the model: bits of slots */

static uint32_t bit(unsigned int slot)
{
	return UINT32_C(1) << slot;
}

static void on_gone(void *owner, unsigned int slot)
{
	(void)owner;
	require(ejected & bit(slot));
	ejected &= ~bit(slot);
}

static void make_once(void)
{
	if (m.hotplug)
		return;
	test_machine_open(&m, &accel);
	m.n_vcpus = 0;
	require(bus_add(&m.mmio, &(struct bus_range){ IOAPIC_START, IOAPIC_SIZE, &ioapic_bus_ops,
						      &m.ioapic }) == 0);
	require(power_open(&m) == 0);
	require(pci_host_open(&m, &m.pci) == 0);
	require(hotplug_open(&m, &m.hotplug) == 0);
	hotplug_tell(m.hotplug, on_gone, NULL);
	back_end_init(&back);
}

static void answer(int sock, const struct vu_msg *what)
{
	require(vu_send(sock, what, NULL, 0) == 0);
}

/* The answers of a handshake, in the order in which they will be asked for: no thread, no wait. */
static int good_channel(int *ret_other)
{
	struct vu_msg config = { .request = VHOST_USER_GET_CONFIG,
				 .reply = true,
				 .config = { .size = test_virtio_type(2)->config_len } };
	int s[2];

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
	answer(s[1], &(struct vu_msg){ .request = VHOST_USER_GET_FEATURES,
				       .reply = true,
				       .u64 = back.features });
	answer(s[1], &(struct vu_msg){ .request = VHOST_USER_GET_PROTOCOL_FEATURES,
				       .reply = true,
				       .u64 = back.protocol });
	answer(s[1],
	       &(struct vu_msg){ .request = VHOST_USER_GET_QUEUE_NUM, .reply = true, .u64 = 1 });
	answer(s[1], &config);
	*ret_other = s[1];
	return s[0];
}

static void plug(void)
{
	struct vmm_virtio disk = { .name = "disk", .type = *test_virtio_type(2) };
	int other;
	const char *why = NULL;
	unsigned int slot = HOTPLUG_FIRST_SLOT;
	int r;

	while (slot < HOTPLUG_FIRST_SLOT + HOTPLUG_SLOTS && ((here | ejected) & bit(slot)))
		slot++;
	if (slot == HOTPLUG_FIRST_SLOT + HOTPLUG_SLOTS) {
		require(hotplug_add(m.hotplug, &disk, 0, good_channel(&other), &why) < 0 && why);
		close(other);
		return;
	}
	r = hotplug_add(m.hotplug, &disk, slot, good_channel(&backs[slot]), &why);
	require(r == (int)slot);
	here |= bit(slot);
}

static void close_others(uint32_t slots)
{
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++)
		if (slots & bit(slot))
			close(backs[slot]);
}

static void main_thread(void)
{
	uint32_t before = ejected;

	require(loop_run_once(&m.loop, 0) == 0);
	require(ejected == 0);
	close_others(before);
}

/* Its process dies, and another one follows at once. */
static void lose(unsigned int slot)
{
	int sock;

	if (!((here | ejected) & bit(slot)))
		return;
	close(backs[slot]);
	sock = good_channel(&backs[slot]);
	require(machine_reconnect(&m, slot, sock) == 0);
}

static void eject(uint32_t slots)
{
	ejected |= slots & here;
	asked &= ~slots;
	here &= ~slots;
	bus_write(&m.pio, PORT_HOTPLUG + HOTPLUG_EJECT, 4, slots);
}

static void reset(void)
{
	uint32_t before = ejected | asked;

	ejected = before;
	here &= ~asked;
	asked = 0;
	hotplug_settle(m.hotplug);
	require(ejected == 0 && machine_reset(&m) == 0);
	close_others(before);
}

static void access_register(uint8_t what, uint32_t value)
{
	unsigned int width = 1U << (what & 3), offset = what >> 2 & 15;

	if (width == 4 && offset == HOTPLUG_EJECT)
		eject(value);
	else
		bus_write(&m.pio, PORT_HOTPLUG + offset, width, value);
	if (width == 4 && offset == HOTPLUG_UP)
		require(!(bus_read(&m.pio, PORT_HOTPLUG + offset, width) & ~(uint64_t)here));
	else if (width == 4 && offset == HOTPLUG_DOWN)
		require(!(bus_read(&m.pio, PORT_HOTPLUG + offset, width) & ~(uint64_t)asked));
	else if (offset + width <= HOTPLUG_LEN)
		require(bus_read(&m.pio, PORT_HOTPLUG + offset, width) == 0);
}

static void check(void)
{
	for (unsigned int slot = HOTPLUG_FIRST_SLOT; slot < PCI_SLOTS; slot++)
		require(!m.pci->functions[slot * PCI_SLOT_FUNCTIONS] == !(here & bit(slot)));
	require(m.pci->functions[0] && accel.n_faults == 0 && m.request == MACHINE_RUN);
	require(accel.n_irqs == 0 && accel.n_notifiers == 0);
}

/* 6 bytes: what to do, which register, value. */
static void step(const uint8_t *op)
{
	uint32_t value;

	memcpy(&value, op + 2, 4);
	switch (op[0] % 7) {
	case 0:
		plug();
		break;
	case 1:
		hotplug_ask(m.hotplug, value);
		if (value < PCI_SLOTS)
			asked |= here & bit(value);
		break;
	case 2:
		main_thread();
		break;
	case 3:
		reset();
		break;
	case 6:
		lose(value % PCI_SLOTS);
		break;
	default:
		access_register(op[1], value);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	make_once();
	for (unsigned int i = 0; size >= 6 && i < STEPS_MAX; data += 6, size -= 6, i++) {
		step(data);
		check();
	}
	eject(UINT32_MAX);
	main_thread();
	reset();
	return 0;
}
