/* SPDX-License-Identifier: Apache-2.0 */
/* What weakens a VM: choices, and what this host does not give; see explain.h. */
#include "cmd/bulkhead/explain.h"

#include "cmd/bulkhead/paragraph.h"
#include "lib/base/cmdline.h"
#include "lib/passt/passt.h"
#include "lib/swtpm/swtpm.h"
#include "lib/sandbox/guarantee.h"

#include <stdio.h>

/* What the VM would be, with the software CPU or with KVM, and on a terminal. */
static bool uses(const struct explained *x, bool soft, enum feature_id id)
{
	const struct config_facts facts = { .soft = soft, .on_terminal = true };

	return config_uses(x->config, &facts, id);
}

static bool may_be(const struct explained *x, bool soft)
{
	return x->config->accel == ACCEL_AUTO || soft == (x->config->accel == ACCEL_SOFT);
}

/* The feature, of those that it would use, that gives the claim up; or NULL. */
static const struct feature *giver(const struct explained *x, bool soft, enum claim_id claim)
{
	for (enum feature_id i = 0; i < N_FEATURES; i++)
		if (feature_gives_up(&features[i], claim) &&
		    (i == (soft ? FEATURE_SOFT : FEATURE_KVM) || uses(x, soft, i)))
			return &features[i];
	return NULL;
}

static void explain_claim(const struct explained *x, enum claim_id claim)
{
	const struct feature *lost[2] = { NULL, NULL };
	bool kept = false;

	for (int soft = 0; soft < 2; soft++) {
		if (!may_be(x, soft))
			continue;
		lost[soft] = giver(x, soft, claim);
		kept = kept || !lost[soft];
	}
	if (!lost[0] && !lost[1])
		paragraph(claims[claim].name, "yes: %s", claims[claim].means);
	else if (kept)
		paragraph(claims[claim].name, "not on %s: %s", lost[0] ? "KVM" : "the software CPU",
			  lost[0] ? lost[0]->note : lost[1]->note);
	else
		paragraph(claims[claim].name, "no: %s: %s", (lost[0] ? lost[0] : lost[1])->what,
			  (lost[0] ? lost[0] : lost[1])->note);
}

/* ---- choices ---- */

static void explain_experimental(const struct explained *x)
{
	for (enum feature_id i = 0; i < N_FEATURES; i++) {
		bool used = (may_be(x, false) && uses(x, false, i)) ||
			    (may_be(x, true) && uses(x, true, i));

		if (used && features[i].status == FEATURE_EXPERIMENTAL)
			paragraph("experimental", "%s: %s%s%s", features[i].what, features[i].note,
				  x->config->allowed >> i & 1 ? "" :
								"; run refuses it without --allow ",
				  x->config->allowed >> i & 1 ? "" : features[i].name);
	}
}

static void explain_foreign(const struct config_device *d)
{
	char label[40];

	snprintf(label, sizeof(label), "foreign %s", d->kind->word);
	paragraph(
		label,
		"%.*s: what listens there is not of this VM: nothing here confines it, it has all "
		"of the guest's RAM, and its answers reach the vmm; when it ends, so does the VM",
		(int)d->path_len, d->path);
}

/* As lib/passt starts it. */
static void explain_one_passt(const struct config_device *d)
{
	bool optional = kind_way(d->kind, d->options)->optional;

	if (!passt_program())
		paragraph("foreign network", optional ? "none: %s" : "%s: run refuses it",
			  passt_missing);
	else
		paragraph(
			"foreign network",
			"%spasst, a program of its own package, which confines itself: it "
			"has the host's network with its user's rights (as root: "
			"nobody's), memory and tasks of its own, and of this VM the frames that "
			"net-relay lets through; who takes it over reaches what the host reaches%s",
			optional ? "as nothing else was said: " : "",
			optional ? "; the guest reaches public addresses alone; --net none is "
				   "without" :
				   "");
}

/* As lib/swtpm starts it. */
static void explain_swtpm(const struct config_device *d)
{
	if (!swtpm_program())
		paragraph("TPM", "%s: run refuses it", swtpm_missing);
	else
		paragraph(
			"TPM",
			"swtpm, a program of its own package, with the state in %.*s: it has that "
			"directory, the host's /usr to read, no network, an id of its own (where "
			"root starts the VM), %zu system calls, memory and tasks of its own; it is "
			"started anew when the guest is, and never else; who takes it over has the "
			"TPM's keys",
			(int)d->to.path_len, d->to.path, sandbox_count_calls(&swtpm_policy));
}

static void explain_started(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];

		if (config_is_on(d, KIND_OPENS_PASST))
			explain_one_passt(d);
		else if (config_is_on(d, KIND_OPENS_SWTPM))
			explain_swtpm(d);
	}
}

/* Of which no process is its own. */
static void explain_segments(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (config_is_on(&c->devices[i], KIND_OPENS_SWITCH))
			paragraph(
				"segment",
				"%.*s: its other VMs, and net-switch, which is of none of them: it holds each "
				"to its own addresses; who takes it over hears what they say to each other "
				"there, in a jail without any network",
				(int)c->devices[i].to.path_len, c->devices[i].to.path);
}

static void explain_interface(const struct config_device *d, enum kind_opens opens)
{
	bool ruled = d->kind->link.ruled(d->options);

	if (opens == KIND_OPENS_TAP && !ruled)
		paragraph(
			"tap",
			"%.*s: what passes there is what the host's administrator lets pass: nothing "
			"of this VM bounds it; as root guard=on does, by nftables",
			(int)d->to.path_len, d->to.path);
	if (opens == KIND_OPENS_BRIDGE || opens == KIND_OPENS_MACVTAP)
		paragraph(
			opens == KIND_OPENS_BRIDGE ? "bridge" : "macvtap",
			"%.*s: the guest reaches all that is there, from its own addresses alone: the "
			"host's kernel holds its interface to that, by nftables",
			(int)d->to.path_len, d->to.path);
	if (config_server(d)->declared->note)
		paragraph(config_server(d)->declared->name, "%.*s: %s", (int)d->to.path_len,
			  d->to.path, config_server(d)->declared->note);
	if (kind_link_is_bare(d->kind, d->options))
		paragraph(
			"rate",
			"%.*s: so that each frame is one packet, and counts as one, the guest cuts "
			"large ones itself: without offloads it is slower",
			(int)d->to.path_len, d->to.path);
}

static void explain_interfaces(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (config_is_linked(&c->devices[i]))
			explain_interface(
				&c->devices[i],
				kind_way(c->devices[i].kind, c->devices[i].options)->opens);
}

static void explain_disks(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];
		char label[40];

		if (d->foreign)
			explain_foreign(d);
		if (!d->kind->file.fd || d->foreign || config_readonly(d))
			continue;
		snprintf(label, sizeof(label), "writable %s", d->kind->file.noun);
		paragraph(label,
			  "%.*s: what the guest, or who takes its %s over, writes "
			  "there outlives the VM and awaits whoever reads the %s next",
			  (int)d->path_len, d->path,
			  (config_behind(d) ? config_behind(d) : config_server(d))->declared->name,
			  d->kind->file.noun);
	}
}

/* What is in the guest's tables is in the vmm, which makes them, and with firmware in what that is told. */
static void explain_credentials(const struct vm_config *c)
{
	for (size_t i = 0; i < c->identity.n_credentials; i++) {
		const struct config_secret *s = &c->identity.credentials[i];

		paragraph("credential",
			  "%.*s from %s: the guest's root reads it; of this VM's processes the vmm "
			  "has it%s, and who has the guest's memory; no argument, line or core has",
			  (int)s->name_len, s->name, s->path, c->firmware ? ", dev-firmware" : "");
	}
}

static void explain_hyperv(const struct vm_config *c)
{
	if (c->hyperv)
		paragraph("Hyper-V",
			  "on KVM alone: the host's kernel keeps the time, timers and interrupts "
			  "of Hyper-V's interface for the guest, in place of KVM's clock, and "
			  "writes them to its RAM: more of KVM that hostile registers reach; "
			  "no hypercall is permitted, and what is not offered is refused");
}

static void explain_console(const struct vm_config *c)
{
	if (c->console == CONSOLE_RAW)
		paragraph("raw console",
			  "on a terminal %s; a file or pipe that gets the output "
			  "must distrust it",
			  features[FEATURE_RAW_TERMINAL].note);
}

/* What may be used up though nothing is wrong. */
static void explain_unlimited(const struct vm_config *c)
{
	if (c->limits.memory == CONFIG_LIMIT_NONE)
		paragraph("no memory limit", "asked for: %s", guarantees[GUARANTEE_MEMORY].without);
	if (c->limits.tasks == CONFIG_LIMIT_NONE)
		paragraph("no task limit", "asked for: %s", guarantees[GUARANTEE_TASKS].without);
	if (c->limits.cpu_percent == CONFIG_LIMIT_NONE)
		paragraph("no CPU limit", "each virtual CPU and process may keep a CPU busy: see "
					  "--limit-cpu");
	if (config_count(c, NULL) && !config_limits_io(&c->limits))
		paragraph("no disk limit",
			  "the guest may keep its host disks busy: see --limit-io");
}

/* Debian's kernels have the pvpanic driver as a module, which an early panic comes before. */
static void explain_panic(const struct vm_config *c)
{
	if (!c->kernel || c->on_panic != PANIC_STOP || cmdline_tells_panic(c->cmdline))
		return;
	if (cmdline_says_panic(c->cmdline))
		paragraph(
			"early panic",
			"a kernel that panics before its pvpanic driver is loaded is only seen to "
			"restart, or not at all: add reboot=panic_warm to --cmdline");
	else
		paragraph(
			"early panic",
			"a kernel that panics before its pvpanic driver is loaded stands still and "
			"keeps a CPU busy: add panic=-1 reboot=panic_warm to --cmdline");
}

/* ---- this host ---- */

static void explain_host(const struct explained *x)
{
	for (size_t i = 0; i < N_GUARANTEES; i++) {
		bool refused = x->config->strict && guarantees[i].need == NEED_STRICT;

		if (x->missing.missing[i])
			paragraph(guarantees[i].name, "not given (%s): %s%s", x->missing.missing[i],
				  guarantees[i].without,
				  refused ? "; run refuses it, as --strict says" : "");
	}
}

void explain_choices(const struct explained *x)
{
	printf("\nWhat is claimed of it (bulkhead features)\n");
	for (enum claim_id i = 0; i < N_CLAIMS; i++)
		explain_claim(x, i);
	printf("\nWhat weakens it: choices, and this host\n");
	explain_experimental(x);
	explain_disks(x->config);
	explain_credentials(x->config);
	explain_started(x->config);
	explain_segments(x->config);
	explain_interfaces(x->config);
	explain_hyperv(x->config);
	explain_console(x->config);
	explain_unlimited(x->config);
	explain_panic(x->config);
	explain_host(x);
}
