/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that are not found by themselves, as AML; see acpi_dsdt.h. */
#include "cmd/vmm/boot/acpi_dsdt.h"

#include "cmd/vmm/boot/acpi_hotplug.h"
#include "cmd/vmm/boot/aml.h"
#include "cmd/vmm/layout.h"
#include "lib/tpm/tpm.h"

#include <stdio.h>

#define STA_PRESENT 0x0f
#define NOTIFY_POWER_BUTTON 0x80

static void put_hid(struct bytes_writer *w, const char *pnp_id)
{
	aml_name(w, "_HID");
	aml_eisaid(w, pnp_id);
}

static void put_number(struct bytes_writer *w, const char *name, uint64_t v)
{
	aml_name(w, name);
	aml_int(w, v);
}

/* \_S5: what to write as SLP_TYP. */
static void put_s5(struct bytes_writer *w)
{
	aml_mark package;

	aml_name(w, "_S5_");
	package = aml_package(w, 4);
	aml_int(w, SLEEP_TYPE_S5);
	for (unsigned int i = 0; i < 3; i++)
		aml_int(w, 0);
	aml_end(w, package);
}

/* Around ECAM, where that lies between. */
static void put_windows(struct bytes_writer *w, uint32_t start, uint32_t end)
{
	const uint32_t behind = (uint32_t)(ECAM_START + ECAM_SIZE);

	if (start >= ECAM_START || end <= behind) {
		aml_res_window32(w, start, end - start);
		return;
	}
	aml_res_window32(w, start, (uint32_t)ECAM_START - start);
	aml_res_window32(w, behind, end - behind);
}

static void put_pci_host(struct bytes_writer *w, const struct acpi_config *cfg)
{
	aml_mark device = aml_device(w, "PCI0");
	aml_mark crs;

	put_hid(w, "PNP0A08");
	aml_name(w, "_CID");
	aml_eisaid(w, "PNP0A03");
	put_number(w, "_UID", 0);
	put_number(w, "_SEG", 0);
	put_number(w, "_BBN", 0);
	put_number(w, "_CCA", 1);
	aml_name(w, "_CRS");
	crs = aml_resources(w);
	aml_res_bus_range(w, 0, 0);
	put_windows(w, cfg->pci_start, cfg->pci_end);
	aml_resources_end(w, crs);
	acpi_hotplug_slots(w);
	aml_end(w, device);
}

/* What nobody else may be given: ECAM, the registers of power and of hot-plug. */
static void put_motherboard(struct bytes_writer *w)
{
	aml_mark device = aml_device(w, "MBRD");
	aml_mark crs;

	put_hid(w, "PNP0C02");
	put_number(w, "_UID", 0);
	aml_name(w, "_CRS");
	crs = aml_resources(w);
	aml_res_memory32(w, ECAM_START, ECAM_SIZE);
	aml_res_io(w, PORT_RESET, PORT_GED - PORT_RESET + 1);
	aml_res_io(w, PORT_HOTPLUG, HOTPLUG_LEN);
	aml_resources_end(w, crs);
	aml_end(w, device);
}

static void put_serial(struct bytes_writer *w)
{
	aml_mark device = aml_device(w, "COM1");
	aml_mark crs;

	put_hid(w, "PNP0501");
	put_number(w, "_UID", 0);
	put_number(w, "_STA", STA_PRESENT);
	aml_name(w, "_CRS");
	crs = aml_resources(w);
	aml_res_io(w, PORT_SERIAL, 8);
	aml_res_irq_edge(w, GSI_SERIAL);
	aml_resources_end(w, crs);
	aml_end(w, device);
}

/* _EVT: reads the event word, which also clears it, and notifies whom it names. */
static void put_ged_method(struct bytes_writer *w)
{
	aml_mark method = aml_method(w, "_EVT", 1, true);
	aml_mark when;

	aml_op_store(w);
	aml_ref(w, "EVNT");
	aml_local0(w);
	when = aml_if_local0(w, GED_POWER_BUTTON);
	aml_op_notify(w);
	aml_root_path2(w, "_SB_", "PWRB");
	aml_int(w, NOTIFY_POWER_BUTTON);
	aml_end(w, when);
	when = aml_if_local0(w, GED_PCI_HOTPLUG);
	acpi_hotplug_call(w);
	aml_end(w, when);
	aml_end(w, method);
}

static void put_ged(struct bytes_writer *w)
{
	aml_mark device = aml_device(w, "GED_");
	aml_mark mark;

	aml_name(w, "_HID");
	aml_string(w, "ACPI0013");
	put_number(w, "_UID", 0);
	aml_name(w, "_CRS");
	mark = aml_resources(w);
	aml_res_irq_edge(w, GSI_GED);
	aml_resources_end(w, mark);
	aml_io_region(w, "EREG", PORT_GED, 1);
	mark = aml_byte_field(w, "EREG");
	aml_field_unit(w, "EVNT", 8);
	aml_end(w, mark);
	put_ged_method(w);
	aml_end(w, device);
}

static void put_power_button(struct bytes_writer *w)
{
	aml_mark device = aml_device(w, "PWRB");

	put_hid(w, "PNP0C0C");
	put_number(w, "_UID", 0);
	aml_end(w, device);
}

/* QEMU docs/specs/pvpanic.rst, "ACPI Interface". */
static void put_pvpanic(struct bytes_writer *w)
{
	aml_mark device = aml_device(w, "PVPN");
	aml_mark mark;

	aml_name(w, "_HID");
	aml_string(w, "QEMU0001");
	put_number(w, "_UID", 0);
	put_number(w, "_STA", STA_PRESENT);
	aml_name(w, "_CRS");
	mark = aml_resources(w);
	aml_res_io(w, PORT_PVPANIC, 1);
	aml_resources_end(w, mark);
	aml_io_region(w, "PREG", PORT_PVPANIC, 1);
	mark = aml_byte_field(w, "PREG");
	aml_field_unit(w, "PPRT", 8);
	aml_end(w, mark);
	mark = aml_method(w, "RDPT", 0, true);
	aml_op_return(w);
	aml_ref(w, "PPRT");
	aml_end(w, mark);
	mark = aml_method(w, "WRPT", 1, true);
	aml_op_store(w);
	aml_arg0(w);
	aml_ref(w, "PPRT");
	aml_end(w, mark);
	aml_end(w, device);
}

/* By which a driver finds the registers that the TPM2 table tells of. */
static void put_tpm(struct bytes_writer *w)
{
	aml_mark device = aml_device(w, "TPM_");
	aml_mark crs;

	aml_name(w, "_HID");
	aml_string(w, "MSFT0101");
	put_number(w, "_UID", 0);
	put_number(w, "_STA", STA_PRESENT);
	aml_name(w, "_CRS");
	crs = aml_resources(w);
	aml_res_memory32(w, TPM_CRB_BASE, TPM_CRB_SIZE);
	aml_resources_end(w, crs);
	aml_end(w, device);
}

static void put_cpu(struct bytes_writer *w, unsigned int index)
{
	char name[8];
	aml_mark device;

	snprintf(name, sizeof(name), "C%03X", index & 0xfff);
	device = aml_device(w, name);
	aml_name(w, "_HID");
	aml_string(w, "ACPI0007");
	put_number(w, "_UID", index);
	aml_end(w, device);
}

void acpi_dsdt_build(struct bytes_writer *w, const struct acpi_config *cfg)
{
	aml_mark scope;

	put_s5(w);
	scope = aml_scope(w, "_SB_");
	put_pci_host(w, cfg);
	put_motherboard(w);
	if (cfg->serial)
		put_serial(w);
	if (cfg->tpm)
		put_tpm(w);
	put_power_button(w);
	put_ged(w);
	put_pvpanic(w);
	for (unsigned int i = 0; i < cfg->n_vcpus; i++)
		put_cpu(w, i);
	aml_end(w, scope);
}
