/* SPDX-License-Identifier: Apache-2.0 */
/* Hot-plug of PCI devices by ACPI (6.4, 6.3); see acpi_hotplug.h. */
#include "cmd/vmm/boot/acpi_hotplug.h"

#include "cmd/vmm/boot/aml.h"
#include "cmd/vmm/layout.h"

#include <stdio.h>

#define NOTIFY_DEVICE_CHECK 1
#define NOTIFY_EJECT_REQUEST 3
#define NAME_LEN 8

static void slot_name(char name[NAME_LEN], unsigned int slot)
{
	snprintf(name, NAME_LEN, "S%02X_", slot & 0xff);
}

static void put_registers(struct bytes_writer *w)
{
	aml_mark field;

	aml_io_region(w, "HREG", PORT_HOTPLUG, HOTPLUG_LEN);
	field = aml_dword_field(w, "HREG");
	aml_field_unit(w, "PCIU", 32); /* HOTPLUG_UP */
	aml_field_unit(w, "PCID", 32); /* HOTPLUG_DOWN */
	aml_field_unit(w, "PCIE", 32); /* HOTPLUG_EJECT */
	aml_end(w, field);
}

/* Whether there is anybody in it is what its configuration space says: no _STA. */
static void put_slot(struct bytes_writer *w, unsigned int slot)
{
	char name[NAME_LEN];
	aml_mark device, method;

	slot_name(name, slot);
	device = aml_device(w, name);
	aml_name(w, "_ADR");
	aml_int(w, (uint64_t)slot << 16);
	aml_name(w, "_SUN");
	aml_int(w, slot);
	method = aml_method(w, "_EJ0", 1, true);
	aml_op_store(w);
	aml_int(w, UINT64_C(1) << slot);
	aml_ref(w, "PCIE");
	aml_end(w, method);
	aml_end(w, device);
}

/* Reads a register, which also clears it, and notifies the slots that it names. */
static void put_notices(struct bytes_writer *w, const char *field, unsigned int notice)
{
	aml_op_store(w);
	aml_ref(w, field);
	aml_local0(w);
	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++) {
		unsigned int slot = HOTPLUG_FIRST_SLOT + i;
		aml_mark when = aml_if_local0(w, UINT32_C(1) << slot);
		char name[NAME_LEN];

		slot_name(name, slot);
		aml_op_notify(w);
		aml_ref(w, name);
		aml_int(w, notice);
		aml_end(w, when);
	}
}

void acpi_hotplug_slots(struct bytes_writer *w)
{
	aml_mark method;

	put_registers(w);
	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++)
		put_slot(w, HOTPLUG_FIRST_SLOT + i);
	method = aml_method(w, "PCNT", 0, true);
	put_notices(w, "PCIU", NOTIFY_DEVICE_CHECK);
	put_notices(w, "PCID", NOTIFY_EJECT_REQUEST);
	aml_end(w, method);
}

void acpi_hotplug_call(struct bytes_writer *w)
{
	aml_root_path3(w, "_SB_", "PCI0", "PCNT");
}
