/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead help, version. A screen has 24 lines of 80; the options of run take two. */
#include "cmd/bulkhead/help.h"

#include "cmd/bulkhead/verbs.h"

#include <stdio.h>

static const char overview[] =
	"bulkhead " BULKHEAD_VERSION ": virtual machines that nobody needs to trust\n"
	"\n"
	"  bulkhead run --kernel FILE [OPTION]...   start a VM, its console here\n"
	"  bulkhead ps                              list your VMs\n"
	"  bulkhead stop NAME [--timeout N] [--now] press its power button, or end it\n"
	"  bulkhead console NAME [--console raw]    its console, when nobody else has it\n"
	"  bulkhead explain [OPTION]...             its walls, before it is started\n"
	"  bulkhead features [--json]               what there is, and what it promises\n"
	"  bulkhead audit [NAME] [--deep] [--json]  hold its processes to their policies\n"
	"  bulkhead version                         say the version\n"
	"  bulkhead run --help                      the options of run\n"
	"\n"
	"In a console Ctrl-] q leaves. In run it presses the power button, and a second\n"
	"time ends the VM. Ctrl-] ? helps, Ctrl-] Ctrl-] types Ctrl-].\n"
	"\n"
	"Everything else is in bulkhead(1).\n";

static const char run_options[] =
	"bulkhead run: start a VM. Shown values are the defaults.\n"
	"  --kernel FILE            bzImage or ELF (PVH); the only one that must be said\n"
	"  --initrd FILE\n"
	"  --cmdline TEXT           console=ttyS0 panic=-1 reboot=panic_warm\n"
	"  --memory SIZE            256M; 64M to 64G\n"
	"  --huge-pages on          or off: less memory at first, a slower guest\n"
	"  --cpus N                 1; 1 to 16\n"
	"  --disk FILE,format=raw[,readonly=on][,queues=N]        up to 64 times\n"
	"  --name NAME              vm and a number\n"
	"  --config FILE            lines `NAME = VALUE` of these same names; # comments\n"
	"  --console auto           or safe (filtered), raw, none; auto: raw to a file\n"
	"  --console-input serial   or virtio: where the terminal's input goes\n"
	"  --detach                 return once the guest runs; see bulkhead console\n"
	"  --stop-timeout 90        seconds to power off in when it is asked to; or none\n"
	"  --on-reboot restart      or stop\n"
	"  --on-panic stop          or continue\n"
	"  --rng on                 or off\n"
	"  --rng-rate 1M            bytes a second\n"
	"  --accel auto             or kvm, soft (a software CPU); auto: a real kvm\n"
	"  --allow NAME             an experimental one of `bulkhead features`\n"
	"  --limit-memory SIZE      of all processes together, guest RAM too; or none\n"
	"  --limit-tasks N          processes and threads; as many as there are; or none\n"
	"  --limit-cpu none         or percents of one CPU: 150%\n"
	"  --limit-io WHAT=N,...    a second: rbps=, wbps= in bytes, riops=, wiops=\n"
	"  --cgroup DIR             where the VM's control group goes\n"
	"  --strict                 rather no VM than one without a guarantee\n"
	"  --verbose                say more, and how long the start took\n"
	"Ends with 0 when the guest powers off; 1 it could not start, 2 wrong words,\n"
	"3 guest panic, 4 guest crash, 5 a process failed, 6 ended from outside,\n"
	"7 the guest ended well, not all of its output was written.\n";

void help_run(void)
{
	fputs(run_options, stdout);
}

int verb_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs(overview, stdout);
	return 0;
}

int verb_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("bulkhead " BULKHEAD_VERSION);
	return 0;
}
