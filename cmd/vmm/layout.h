/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's physical address space and its I/O ports: every number that more than one part of
 * the vmm, or the ACPI tables, must agree on. docs/architecture.md draws it.
 */
#ifndef BULKHEAD_VMM_LAYOUT_H
#define BULKHEAD_VMM_LAYOUT_H

#include "lib/base/units.h"
#include "lib/guestmem/guestmem.h"

/* RAM: [0, min(size, 3 GiB)) and, when there is more, [4 GiB, 4 GiB + size - 3 GiB) */
#define LOW_RAM_MAX GIB(3)
#define HIGH_RAM_START GIB(4)
#define RAM_MIN MIB(64)
#define RAM_MAX GIB(64)
#define VCPUS_MAX 16

/* Below 1 MiB. What lies in [0, 640 KiB) is RAM to the guest save the ACPI tables' page run. */
#define GDT_START 0x500ULL	  /* boot GDT, until the kernel loads its own */
#define ZERO_PAGE_START 0x7000ULL /* boot_params; PVH's start info in its place */
#define PVH_INFO_START 0x6000ULL
#define BOOT_PAGE_TABLES 0x9000ULL /* PML4, PDPT, 4 page directories: 6 pages */
#define CMDLINE_START 0x20000ULL
#define CMDLINE_MAX 2048ULL   /* bytes with NUL */
#define EBDA_START 0x9fc00ULL /* end of conventional RAM in the memory map */
#define ACPI_START 0xe0000ULL /* RSDP first; reserved in the memory map up to 1 MiB */
#define ACPI_END 0x100000ULL
#define SMBIOS_START 0xf0000ULL /* the entry point, where a guest looks for it; then the tables */
#define RESET_VECTOR 0xffff0ULL /* F000:FFF0, in the last 16 bytes of that range */
#define HIGH_LOAD_START MIB(1)

/* The hole between LOW_RAM_MAX and 4 GiB */
#define PCI_MMIO32_START 0xc0000000ULL
#define PCI_MMIO32_SIZE MIB(512)
#define PCI_MMIO32_END (PCI_MMIO32_START + PCI_MMIO32_SIZE)
/* Firmware places BARs itself, from here or from the end of low RAM on, whichever is higher: OVMF upwards, SeaBIOS downwards
 * from the IOAPIC. What lies between is not decoded for a BAR. */
#define PCI_FIRMWARE_START GIB(2)
#define PCI_FIRMWARE_END IOAPIC_START
#define ECAM_START 0xe8000000ULL /* one bus */
#define ECAM_SIZE MIB(1)
#define IOAPIC_START 0xfec00000ULL
#define IOAPIC_SIZE 0x1000ULL
#define LAPIC_START 0xfee00000ULL
#define KVM_IDENTITY_MAP 0xfeffc000ULL /* Intel hosts only; one page, then three of TSS */
#define KVM_TSS_START 0xfeffd000ULL

/* Firmware ends at 4 GiB. Its last part is also what lies below 1 MiB at power-on, as RAM. */
#define FIRMWARE_END GIB(4)
#define FIRMWARE_MIN KIB(64)
#define FIRMWARE_MAX MIB(8)
#define FIRMWARE_LOW_END MIB(1)
#define FIRMWARE_LOW_MAX KIB(128)

/* I/O ports */
#define PORT_SERIAL 0x3f8  /* 8 ports */
#define PORT_KEYBOARD 0x64 /* no keyboard: writing KEYBOARD_RESET restarts the guest */
#define KEYBOARD_RESET 0xfe
#define PORT_PVPANIC 0x505
#define PORT_RESET 0x600 /* FADT RESET_REG: RESET_VALUE restarts the guest */
#define RESET_VALUE 0x01
#define PORT_SLEEP_CONTROL 0x601 /* FADT SLEEP_CONTROL_REG, ACPI 6.4, 4.8.3.7 */
#define PORT_SLEEP_STATUS 0x602
#define PORT_GED 0x604	   /* GED event word: read and clear, 1 byte */
#define PORT_HOTPLUG 0x610 /* pci/hotplug.h: HOTPLUG_LEN ports */
#define HOTPLUG_LEN 12
#define HOTPLUG_UP 0
#define HOTPLUG_DOWN 4
#define HOTPLUG_EJECT 8
#define SLEEP_TYPE_S5 5
#define GED_POWER_BUTTON 0x01
#define GED_PCI_HOTPLUG 0x02

/* What firmware for a PC looks for at ports of its own choice (an i440FX with a PIIX4), and finds when it is
 * there: lib/fwcfg/fwcfg.h */
#define PORT_CMOS 0x70
#define PORT_FWCFG 0x510
#define PORT_PM 0xb000 /* PM1 event and control, ACPI 6.4, 4.8.3.1 and 4.8.3.2 */
#define PORT_PM1_CONTROL 0xb004
#define PORT_PM_TIMER 0xb008

/* PCI slots of the one bus: what is there at the start goes below, what comes later from here up */
#define PCI_SLOTS 32
#define HOTPLUG_FIRST_SLOT 24
#define HOTPLUG_SLOTS 8

/* Global system interrupts: pins of the one IOAPIC */
#define IOAPIC_PINS 24
#define GSI_SERIAL 4 /* edge, active high */
#define GSI_GED 9    /* edge, active high */

#endif
