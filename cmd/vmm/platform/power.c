/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hardware-reduced power registers: reset, sleep, and the event word behind the GED.
 * ACPI 6.4, 4.8.3.6 (reset), 4.8.3.7 (sleep control and status), 5.6.9 (GED).
 */
#include "cmd/vmm/machine.h"

#include "lib/base/cleanup.h"

#define SLP_EN 0x20
#define PM1_SLP_EN 0x2000 /* ACPI 6.4, table 4.13 */
#define PM1_PORTS 6
#define SLP_TYP(v) (((v) >> 2) & 7)

static uint64_t power_read(void *owner, uint64_t offset, unsigned int width)
{
	struct machine *m = owner;
	uint8_t events;

	if (width != 1 || offset != PORT_GED - PORT_RESET)
		return 0;
	events = m->power.events;
	m->power.events = 0;
	return events;
}

static void power_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	struct machine *m = owner;

	if (width != 1)
		return;
	if (offset == 0 && value == RESET_VALUE)
		machine_request(m, MACHINE_RESET);
	else if (offset == PORT_SLEEP_CONTROL - PORT_RESET && (value & SLP_EN) &&
		 SLP_TYP(value) == SLEEP_TYPE_S5)
		machine_request(m, MACHINE_POWEROFF);
}

static const struct bus_ops power_ops = { .read = power_read, .write = power_write };

/* Kernels also restart a machine by the keyboard controller's reset line. Its status reads as idle,
 * so that they do not wait for it. */
static uint64_t keyboard_read(void *owner, uint64_t offset, unsigned int width)
{
	const struct machine *m = owner;

	(void)offset;
	(void)width;
	/* firmware would take a 0 for a controller, and wait for its keyboard */
	return m->firmware.bytes ? UINT64_MAX : 0;
}

static void keyboard_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	(void)offset;
	if (width == 1 && value == KEYBOARD_RESET)
		machine_request(owner, MACHINE_RESET);
}

static const struct bus_ops keyboard_ops = { .read = keyboard_read, .write = keyboard_write };

/*
 * PM1, which firmware knows by the PIIX4 and offers as its way to power off: no event ever comes, and of the control
 * register sleeping alone is there, of whatever type.
 */
static uint64_t pm1_read(void *owner, uint64_t offset, unsigned int width)
{
	(void)owner, (void)offset, (void)width;
	return 0;
}

static void pm1_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	if (offset == PORT_PM1_CONTROL - PORT_PM && width == 2 && value & PM1_SLP_EN)
		machine_request(owner, MACHINE_POWEROFF);
}

static const struct bus_ops pm1_ops = { .read = pm1_read, .write = pm1_write };

/* ---- state ---- */

static const struct state_field fields[] = {
	STATE_BITS(struct power, events, GED_POWER_BUTTON | GED_PCI_HOTPLUG),
};

static const struct state_schema schema = {
	.name = "power",
	.version = 1,
	.size = sizeof(struct power),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
};

static int power_reset(void *object)
{
	*(struct power *)object = (struct power){ 0 };
	return 0;
}

static void power_save(const void *object, void *image)
{
	*(struct power *)image = *(const struct power *)object;
}

static int power_load(void *object, const void *image, const char **ret_why)
{
	(void)ret_why;
	*(struct power *)object = *(const struct power *)image;
	return 0;
}

static const struct state_ops power_state = { "power", &schema,	   power_reset,
					      NULL,    power_save, power_load };

int power_open(struct machine *m)
{
	int r = machine_add_object(m, &power_state, &m->power);

	if (r < 0)
		return r;
	r = bus_add(&m->pio,
		    &(struct bus_range){ PORT_RESET, PORT_GED - PORT_RESET + 1, &power_ops, m });

	if (r < 0)
		return r;
	r = bus_add(&m->pio, &(struct bus_range){ PORT_KEYBOARD, 1, &keyboard_ops, m });
	if (r < 0 || !m->firmware.bytes)
		return r;
	return bus_add(&m->pio, &(struct bus_range){ PORT_PM, PM1_PORTS, &pm1_ops, m });
}

void power_event(struct machine *m, uint8_t event)
{
	m->power.events |= event;
	ioapic_pulse(&m->ioapic, GSI_GED);
}
